import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { hueOf, initialsOf } from './avatar';

describe('avatar', () => {
  /** Converts OKLCH to relative luminance (WCAG 2.2) through OKLab and linear sRGB. */
  function luminance(lightness: number, chroma: number, hue: number): number {
    const a = chroma * Math.cos((hue * Math.PI) / 180);
    const b = chroma * Math.sin((hue * Math.PI) / 180);
    const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
    const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
    const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
    const clip = (x: number) => Math.min(1, Math.max(0, x));
    return (
      0.2126 * clip(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s) +
      0.7152 * clip(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s) +
      0.0722 * clip(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s)
    );
  }
  const contrast = (x: number, y: number) => (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  const grey = (hex: string) =>
    [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
      const c = parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16) / 255;
      return sum + weight * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    }, 0);
  const css = readFileSync(new URL('../styles/theme.css', import.meta.url), 'utf8');
  const block = (selector: string) => {
    const body = css.slice(css.indexOf(`${selector} {`) + selector.length + 2);
    return Object.fromEntries(Array.from(body.slice(0, body.indexOf('}')).matchAll(/--([\w-]+):\s*([^;]+);/g), ([, key, value]) => [key!, value!]));
  };
  const themes = [
    { name: 'light', ...block(':root') },
    { name: 'dark', ...block(":root[data-theme='dark']") },
  ].map((values: Record<string, string>) => ({
    name: values.name!,
    avatar: [Number(values['avatar-lightness']), Number(values['avatar-chroma'])] as const,
    author: [Number(values['author-lightness']), Number(values['author-chroma'])] as const,
    // Author names appear on the surface and on its hover color.
    authorSurfaces: [values.bg!, values.hover!],
    texts: [values.text!, values.muted!, values.faint!, values.accent!, values.danger!],
    surfaces: [values.bg!, values['bg-sunken']!, values['bg-raised']!, values.hover!],
    pairs: [[values['on-accent']!, values.accent!], [values.warning!, values['warning-bg']!], [values.danger!, values['danger-bg']!], [values['accent-strong']!, values['accent-bg']!]] as const,
  }));

  for (const theme of themes) {
    test(`every hue in the ${theme.name} theme has a contrast of 4.5`, () => {
      for (let hue = 0; hue < 360; hue++) {
        expect(contrast(1, luminance(theme.avatar[0], theme.avatar[1], hue)), `avatar ${hue}`).toBeGreaterThanOrEqual(4.5);
        for (const surface of theme.authorSurfaces) {
          expect(contrast(grey(surface), luminance(theme.author[0], theme.author[1], hue)), `author ${hue}`).toBeGreaterThanOrEqual(4.5);
        }
      }
    });
  }

  for (const { name, texts, surfaces, pairs } of themes) {
    test(`text in the ${name} theme has a contrast of 4.5`, () => {
      const combinations = [...surfaces.flatMap((surface) => texts.map((text) => [text, surface] as const)), ...pairs];
      for (const [text, surface] of combinations) expect(contrast(grey(text), grey(surface)), `${text} on ${surface}`).toBeGreaterThanOrEqual(4.5);
    });
  }

  test('neighboring ids get hues at least 30 degrees apart', () => {
    expect(hueOf('u7')).toBe(hueOf('u7'));
    const hues = Array.from({ length: 40 }, (_, i) => hueOf(`u${i}`));
    expect(new Set(hues).size).toBeGreaterThan(30);
    // Five users with consecutive ids are distinguishable at a glance.
    const apart = (a: number, b: number) => Math.min(Math.abs(a - b), 360 - Math.abs(a - b));
    for (let i = 0; i + 4 < hues.length; i++)
      for (let j = i + 1; j <= i + 4; j++) expect(apart(hues[i]!, hues[j]!), `u${i} and u${j}`).toBeGreaterThan(30);
    for (const hue of hues) expect(hue).toBeGreaterThanOrEqual(0);
  });

  test('initials of a Chinese name are its last two characters', () => {
    const names = { 李雷: '李雷', 韩梅梅: '梅梅', 欧阳娜娜: '娜娜', ann: 'A', 'Han Meimei': 'HM', 'Mary Ann Smith': 'MS', '👩‍🚀': '👩‍🚀', 'Mei 林': 'M', さくら: 'くら', '': '?', user_7: 'U', 'Pu-erh 53': 'PE' };
    for (const [name, initials] of Object.entries(names)) expect(initialsOf(name), name).toBe(initials);
  });
});
