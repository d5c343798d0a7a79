import { render } from 'solid-js/web';
import './styles/theme.css';
import './styles/base.css';
import './styles/login.css';
import './styles/layout.css';
import './styles/conversation.css';
import './styles/messages.css';
import './styles/composer.css';
import './styles/dialogs.css';
import { App } from './shell/app';
import { followViewport } from './shell/viewport';
import { AppProvider, createAppContext } from './view/context';
import { Page } from './view/Page';

const app = new App();
render(() => {
  const ctx = createAppContext(app);
  return (
    <AppProvider value={ctx}>
      <Page />
    </AppProvider>
  );
}, document.getElementById('root')!);
followViewport();
void app.start();
