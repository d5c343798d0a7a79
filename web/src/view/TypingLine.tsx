import { useApp } from './context';

/** Who is typing. The line keeps its height when empty, so that the message list does not jump. */
export function TypingLine() {
  const { app, t, format, select } = useApp();
  const text = select(() => {
    const names = [...(app.chat.activeRoom?.typers.values() ?? [])].map((typer) => typer.name);
    if (names.length === 0) return '';
    if (names.length === 1) return t().typing.one({ name: format().list(names) });
    return names.length <= 3 ? t().typing.few({ names: format().list(names) }) : t().typing.many;
  });
  return (
    <p class="typing" classList={{ shown: text() !== '' }}>
      <span class="typing-dots" aria-hidden="true"><i /><i /><i /></span>
      {text()}
    </p>
  );
}
