import { en, zh } from './generated';

/** The texts of a language, by group and key: from texts/*.toml. */
export type Dictionary = typeof en;
export type Locale = 'en' | 'zh';

export const DICTIONARIES: Record<Locale, Dictionary> = { en, zh };
/** The `lang` attribute of the document. */
export const LANG: Record<Locale, string> = { en: 'en', zh: 'zh-CN' };

/** The first supported language of the user. */
export function chooseLocale(remembered: string | null, languages: readonly string[]): Locale {
  if (remembered === 'en' || remembered === 'zh') return remembered;
  for (const language of languages) {
    const primary = language.toLowerCase().split('-')[0];
    if (primary === 'zh' || primary === 'en') return primary;
  }
  return 'en';
}
