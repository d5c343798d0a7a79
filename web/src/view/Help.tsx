import { For } from 'solid-js';
import { type SlashWord, WORDS } from '../core/slash';
import { useApp } from './context';
import { Dialog } from './Dialog';

/** Lists the commands and the keyboard shortcuts. */
export function Help() {
  const { t } = useApp();
  const line = (word: SlashWord) => {
    const argument = (t().slash_argument as Partial<Record<SlashWord, string>>)[word];
    return argument === undefined ? `/${word}` : `/${word} ${argument}`;
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
        <For each={WORDS}>
          {(word) => (
            <div>
              <dt><code>{line(word)}</code></dt>
              <dd>{t().slash[word]}</dd>
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
