import { beforeEach, describe, expect, test } from 'vitest';
import { backoff, comeBack } from './backoff';
import { Link, OPENING, PATIENCE, SILENCE, STABLE } from './link';

describe('waiting', () => {
  test('half a second, doubled up to thirty, a random part of it', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7, 99].map((attempt) => backoff(attempt, 1))).toEqual([500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
    expect(backoff(3, 0)).toBe(0);
    expect(backoff(3, 0.25)).toBe(1000);
  });

  test('what each close code says', () => {
    for (const code of [1002, 1003, 1007, 1009, 4100, 4199]) expect(comeBack(code, '').when, String(code)).toBe('never');
    for (const code of [1000, 1001, 1005, 1006, 1011, 1012, 4000, 4001, 4099, 4200]) expect(comeBack(code, '').when, String(code)).toBe('backoff');
    expect(comeBack(1001, 'retry_within_ms=5000')).toEqual({ when: 'within', ms: 5000 });
    expect(comeBack(1001, 'retry_within_ms=-1').when).toBe('backoff');
    expect(comeBack(1006, 'retry_within_ms=5000').when).toBe('backoff');
  });
});

describe('a connection', () => {
  let link: Link;
  beforeEach(() => {
    link = new Link();
    expect(link.start(0)).toEqual(['connect']);
  });

  test('that is lost is tried again, later each time', () => {
    expect(link.closed(1006, '', 0, 0.5)).toEqual(['check']);
    expect(link.phase).toEqual({ is: 'waiting', until: 250 });
    expect(link.tick(249)).toEqual([]);
    expect(link.tick(250)).toEqual(['connect']);
    link.closed(1006, '', 300, 0.5);
    expect(link.phase).toEqual({ is: 'waiting', until: 800 });
  });

  test('that held for a while ends the row of failures; one that died at once does not', () => {
    link.closed(1006, '', 0, 1);
    link.tick(500);
    link.welcomed(600);
    link.closed(1006, '', 700, 1);
    expect(link.phase).toEqual({ is: 'waiting', until: 700 + 1000 });
    link.tick(2000);
    link.welcomed(2000);
    link.closed(1006, '', 2000 + STABLE, 1);
    expect(link.phase).toEqual({ is: 'waiting', until: 2000 + STABLE + 500 });
  });

  test('of a server that stops is tried again at a random moment of its choice', () => {
    link.welcomed(0);
    expect(link.closed(1001, 'retry_within_ms=8000', 0, 0.5)).toEqual([]);
    expect(link.phase).toEqual({ is: 'waiting', until: 4000 });
  });

  test('that was ended for good is not tried again', () => {
    link.welcomed(0);
    link.closed(4100, '', 0, 0);
    expect(link.phase).toEqual({ is: 'stopped', code: 4100 });
    expect([link.deadline(), link.nudge(1), link.cameOnline(2), link.tick(1e9)]).toEqual([null, [], [], []]);
  });

  test('is tried at once when the network comes back, the page is seen, or the person asks', () => {
    link.closed(1006, '', 0, 1);
    expect(link.nudge(1)).toEqual(['connect']);
    link.closed(1006, '', 1, 1);
    link.wentOffline(2);
    expect(link.cameOnline(3)).toEqual(['connect']);
  });

  test('that does not get as far as `welcome` is given up', () => {
    expect(link.deadline()).toBe(OPENING);
    expect(link.tick(OPENING)).toEqual(['drop']);
  });
});

describe('silence', () => {
  let link: Link;
  beforeEach(() => {
    link = new Link();
    link.start(0);
    link.welcomed(0);
  });

  test('is asked about, and given up when nothing comes', () => {
    expect(link.deadline()).toBe(SILENCE);
    expect(link.tick(SILENCE - 1)).toEqual([]);
    expect(link.tick(SILENCE)).toEqual(['ping']);
    expect(link.tick(SILENCE + 1)).toEqual([]);
    expect(link.deadline()).toBe(SILENCE + PATIENCE);
    expect(link.tick(SILENCE + PATIENCE)).toEqual(['drop']);
  });

  test('is broken by anything that comes', () => {
    link.tick(SILENCE);
    link.heard(SILENCE + 5);
    expect(link.deadline()).toBe(SILENCE + 5 + SILENCE);
    link.heard(SILENCE + 10);
    expect(link.tick(SILENCE + PATIENCE + 5)).toEqual([]);
  });

  test('is not waited for when there is reason to doubt: a page that slept, a network that changed', () => {
    expect(link.nudge(1)).toEqual(['ping']);
    expect(link.nudge(2), 'one question at a time').toEqual([]);
    link.heard(3);
    expect(link.wentOffline(4)).toEqual(['ping']);
    expect(link.tick(4 + PATIENCE)).toEqual(['drop']);
  });
});
