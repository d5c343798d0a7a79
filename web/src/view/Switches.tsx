import { For } from 'solid-js';
import { DICTIONARIES, LANG, type Locale } from '../i18n';
import { type Theme, useApp } from './context';

interface ChoiceProps<T extends string> {
  label: string;
  name: string;
  options: readonly { value: T; text: string; lang?: string }[];
  value: T;
  onChoose: (value: T) => void;
}

/** A segmented control of radio buttons. */
function Choice<T extends string>(props: ChoiceProps<T>) {
  return (
    <fieldset class="choice">
      <legend class="sr-only">{props.label}</legend>
      <For each={props.options}>
        {(option) => (
          <label lang={option.lang}>
            <input type="radio" name={props.name} checked={props.value === option.value} onChange={() => props.onChoose(option.value)} />
            <span>{option.text}</span>
          </label>
        )}
      </For>
    </fieldset>
  );
}

export function LanguageSwitch() {
  const { t, locale, setLocale } = useApp();
  const options = (Object.keys(DICTIONARIES) as Locale[]).map((value) => ({ value, text: DICTIONARIES[value].app.language, lang: LANG[value] }));
  return <Choice label={t().menu.language} name="language" options={options} value={locale()} onChoose={setLocale} />;
}

export function ThemeSwitch() {
  const { t, theme, setTheme } = useApp();
  const options = (): { value: Theme; text: string }[] => [
    { value: 'system', text: t().menu.system },
    { value: 'light', text: t().menu.light },
    { value: 'dark', text: t().menu.dark },
  ];
  return <Choice label={t().menu.theme} name="theme" options={options()} value={theme()} onChoose={setTheme} />;
}
