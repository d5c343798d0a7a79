import { LANG, type Locale } from './index';

/** Times, days, numbers and lists in the conventions of each language. */
export interface Format {
  time(at: number): string;
  /** Without AM or PM, for narrow places. */
  shortTime(at: number): string;
  /** With the date, for tooltips. */
  full(at: number): string;
  day(at: number, now: number): string;
  number(n: number): string;
  list(items: readonly string[]): string;
  /** Compares names in the order of the language. */
  compare(a: string, b: string): number;
}

export function createFormat(locale: Locale, languages: readonly string[]): Format {
  // Regions that share a language format times differently.
  const lang = languages.find((language) => language.toLowerCase().split('-')[0] === locale) ?? LANG[locale];
  // 12-hour times have no leading zero: 3:20 PM, but 03:20.
  const twelve = new Intl.DateTimeFormat(lang, { hour: 'numeric' }).resolvedOptions().hour12 === true;
  const time = new Intl.DateTimeFormat(lang, { hour: twelve ? 'numeric' : '2-digit', minute: '2-digit' });
  const full = new Intl.DateTimeFormat(lang, { dateStyle: 'full', timeStyle: 'medium' });
  const thisYear = new Intl.DateTimeFormat(lang, { weekday: 'long', month: 'long', day: 'numeric' });
  const otherYear = new Intl.DateTimeFormat(lang, { year: 'numeric', month: 'long', day: 'numeric' });
  const relative = new Intl.RelativeTimeFormat(lang, { numeric: 'auto' });
  const number = new Intl.NumberFormat(lang);
  const list = new Intl.ListFormat(locale === 'en' ? 'en-GB' : LANG[locale], { type: 'conjunction', style: 'long' });
  const collator = new Intl.Collator(lang, { numeric: true, sensitivity: 'base' });
  return {
    time: (at) => time.format(at),
    shortTime: (at) =>
      time
        .formatToParts(at)
        .filter((part) => part.type === 'hour' || part.type === 'minute' || (part.type === 'literal' && part.value.trim() !== ''))
        .map((part) => part.value)
        .join(''),
    full: (at) => full.format(at),
    day(at, now) {
      const days = daysBetween(at, now);
      if (days === 0 || days === 1) return capital(relative.format(-days, 'day'), lang);
      return (new Date(at).getFullYear() === new Date(now).getFullYear() ? thisYear : otherYear).format(at);
    },
    number: (n) => number.format(n),
    list: (items) => list.format(items.map(isolated)),
    compare: (a, b) => collator.compare(a, b),
  };
}

/** The local day of a time. */
export function dayOf(at: number): string {
  const date = new Date(at);
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}

/** Isolates a right-to-left name from the surrounding text. */
export function isolated(text: string): string {
  return /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/.test(text) ? `\u2068${text}\u2069` : text;
}

function daysBetween(at: number, now: number): number {
  const midnight = (moment: number) => new Date(moment).setHours(0, 0, 0, 0);
  return Math.round((midnight(now) - midnight(at)) / 86_400_000);
}

function capital(text: string, lang: string): string {
  return text.slice(0, 1).toLocaleUpperCase(lang) + text.slice(1);
}
