import { render } from 'solid-js/web';
import './styles/base.css';
import './styles/door.css';
import './styles/house.css';
import './styles/talk.css';
import './styles/sheets.css';
import { App } from './shell/app';
import { followViewport } from './shell/viewport';
import { createHouse, HouseProvider } from './view/context';
import { Page } from './view/Page';

const app = new App();
render(() => {
  const house = createHouse(app);
  return (
    <HouseProvider value={house}>
      <Page />
    </HouseProvider>
  );
}, document.getElementById('root')!);
followViewport();
void app.start();
