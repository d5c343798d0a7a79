import { en } from './en';
import { zh } from './zh';

/** What every language must have. A key that is missing does not compile. */
export type Dictionary = typeof en;
export type Locale = 'en' | 'zh';

export const DICTIONARIES: Record<Locale, Dictionary> = { en, zh };
/** What the page calls its language to browsers and screen readers. */
export const LANG: Record<Locale, string> = { en: 'en', zh: 'zh-CN' };

/** The first of the person's languages that the page speaks. */
export function chooseLocale(remembered: string | null, languages: readonly string[]): Locale {
  if (remembered === 'en' || remembered === 'zh') return remembered;
  for (const language of languages) {
    const primary = language.toLowerCase().split('-')[0];
    if (primary === 'zh' || primary === 'en') return primary;
  }
  return 'en';
}
