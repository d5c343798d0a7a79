import { For } from 'solid-js';
import { COMMANDS, hasArgument } from '../core/slash';
import { useApp } from './context';
import { Dialog } from './Dialog';

/** Lists the commands and the keyboard shortcuts. */
export function Help() {
  const { t } = useApp();
  const line = (command: (typeof COMMANDS)[number]) => {
    return hasArgument(command) ? `/${command} ${t().slash_argument[command]}` : `/${command}`;
  };
  const keys = (): [string[], string][] => [
    [['Enter'], t().keys.send],
    [['Shift', 'Enter'], t().keys.line],
    [['Alt', '↑ ↓'], t().keys.room],
    [['Esc'], t().keys.close],
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
          <dt><code>//…</code></dt>
          <dd>{t().help.escape}</dd>
        </div>
      </dl>
      <h3>{t().keys.title}</h3>
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
