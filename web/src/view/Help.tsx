import { For } from 'solid-js';
import { COMMANDS, hasArgument } from '../core/slash';
import { useApp } from './context';
import { Dialog } from './Dialog';

/** Lists the commands and the keyboard shortcuts. */
export function Help() {
  const { t } = useApp();
  const line = (command: (typeof COMMANDS)[number]) => {
    return hasArgument(command) ? `/${command} ${t().slash.arguments[command]}` : `/${command}`;
  };
  const keys = (): [string[], string][] => [
    [['Enter'], t().slash.keySend],
    [['Shift', 'Enter'], t().slash.keyLine],
    [['Alt', '↑ ↓'], t().slash.keyRoom],
    [['Esc'], t().slash.keyClose],
  ];
  return (
    <Dialog which="help" title={t().menu.help}>
      <dl class="help">
        <For each={COMMANDS}>
          {(command) => (
            <div>
              <dt><code>{line(command)}</code></dt>
              <dd>{t().slash[command]}</dd>
            </div>
          )}
        </For>
        <div>
          <dt><code>{`//${t().slash.textArgument}`}</code></dt>
          <dd>{t().slash.escape}</dd>
        </div>
      </dl>
      <h3>{t().slash.keys}</h3>
      <dl class="help">
        <For each={keys()}>
          {([combination, meaning]) => (
            <div>
              <dt><For each={combination}>{(key) => <kbd>{key}</kbd>}</For></dt>
              <dd>{meaning}</dd>
            </div>
          )}
        </For>
      </dl>
    </Dialog>
  );
}
