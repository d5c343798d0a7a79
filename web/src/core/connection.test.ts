import { beforeEach, describe, expect, test } from 'vitest';
import { RECONNECT } from '../protocol/generated';
import { backoff, reconnectPolicy } from './backoff';
import { CONNECT_TIMEOUT, Connection, PING_INTERVAL, PING_TIMEOUT, STABLE_AFTER } from './connection';

describe('backoff', () => {
  test('delay doubles from half a second to thirty, with full jitter', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7, 99].map((attempt) => backoff(attempt, 1))).toEqual([500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
    expect(backoff(3, 0)).toBe(0);
    expect(backoff(3, 0.25)).toBe(1000);
  });

  test('close code decides whether and when to reconnect', () => {
    for (const code of [1002, 1003, 1007, 1009, 4100, 4199]) expect(reconnectPolicy(code, '').when, String(code)).toBe('never');
    for (const code of [1000, 1001, 1005, 1006, 1011, 1012, 4000, 4001, 4099, 4200]) expect(reconnectPolicy(code, '').when, String(code)).toBe('backoff');
    expect(reconnectPolicy(1001, 'retry_within_ms=5000')).toEqual({ when: 'within', ms: 5000 });
    expect(reconnectPolicy(1001, 'retry_within_ms=-1').when).toBe('backoff');
    expect(reconnectPolicy(1006, 'retry_within_ms=5000').when).toBe('backoff');
  });

  test('every close code of the server has the policy of its row', () => {
    for (const [code, when] of Object.entries(RECONNECT)) expect(reconnectPolicy(Number(code), 'retry_within_ms=1').when, code).toBe(when);
  });
});

describe('connection', () => {
  let connection: Connection;
  beforeEach(() => {
    connection = new Connection();
    expect(connection.start(0)).toEqual(['connect']);
  });

  test('lost connection is retried with increasing delays', () => {
    expect(connection.onClose(1006, '', 0, 0.5)).toEqual(['check_session']);
    expect(connection.phase).toEqual({ kind: 'waiting', until: 250 });
    expect(connection.tick(249)).toEqual([]);
    expect(connection.tick(250)).toEqual(['connect']);
    connection.onClose(1006, '', 300, 0.5);
    expect(connection.phase).toEqual({ kind: 'waiting', until: 800 });
  });

  test('stable connection resets the backoff, a short one does not', () => {
    connection.onClose(1006, '', 0, 1);
    connection.tick(500);
    connection.onWelcome(600);
    connection.onClose(1006, '', 700, 1);
    expect(connection.phase).toEqual({ kind: 'waiting', until: 700 + 1000 });
    connection.tick(2000);
    connection.onWelcome(2000);
    connection.onClose(1006, '', 2000 + STABLE_AFTER, 1);
    expect(connection.phase).toEqual({ kind: 'waiting', until: 2000 + STABLE_AFTER + 500 });
  });

  test('server shutdown reconnects within the announced time', () => {
    connection.onWelcome(0);
    expect(connection.onClose(1001, 'retry_within_ms=8000', 0, 0.5)).toEqual([]);
    expect(connection.phase).toEqual({ kind: 'waiting', until: 4000 });
  });

  test('permanent close code stops reconnecting', () => {
    connection.onWelcome(0);
    connection.onClose(4100, '', 0, 0);
    expect(connection.phase).toEqual({ kind: 'stopped', code: 4100 });
    expect([connection.deadline(), connection.wake(1), connection.onOnline(2), connection.tick(1e9)]).toEqual([null, [], [], []]);
  });

  test('wake and online reconnect at once', () => {
    connection.onClose(1006, '', 0, 1);
    expect(connection.wake(1)).toEqual(['connect']);
    connection.onClose(1006, '', 1, 1);
    connection.onOffline(2);
    expect(connection.onOnline(3)).toEqual(['connect']);
  });

  test('connection without welcome is closed after the timeout', () => {
    expect(connection.deadline()).toBe(CONNECT_TIMEOUT);
    expect(connection.tick(CONNECT_TIMEOUT)).toEqual(['close']);
  });
});

describe('ping', () => {
  let connection: Connection;
  beforeEach(() => {
    connection = new Connection();
    connection.start(0);
    connection.onWelcome(0);
  });

  test('silent connection is pinged, then closed', () => {
    expect(connection.deadline()).toBe(PING_INTERVAL);
    expect(connection.tick(PING_INTERVAL - 1)).toEqual([]);
    expect(connection.tick(PING_INTERVAL)).toEqual(['ping']);
    expect(connection.tick(PING_INTERVAL + 1)).toEqual([]);
    expect(connection.deadline()).toBe(PING_INTERVAL + PING_TIMEOUT);
    expect(connection.tick(PING_INTERVAL + PING_TIMEOUT)).toEqual(['close']);
  });

  test('any frame counts as a reply', () => {
    connection.tick(PING_INTERVAL);
    connection.onFrame(PING_INTERVAL + 5);
    expect(connection.deadline()).toBe(PING_INTERVAL + 5 + PING_INTERVAL);
    connection.onFrame(PING_INTERVAL + 10);
    expect(connection.tick(PING_INTERVAL + PING_TIMEOUT + 5)).toEqual([]);
  });

  test('wake and offline ping at once', () => {
    expect(connection.wake(1)).toEqual(['ping']);
    expect(connection.wake(2), 'one ping at a time').toEqual([]);
    connection.onFrame(3);
    expect(connection.onOffline(4)).toEqual(['ping']);
    expect(connection.tick(4 + PING_TIMEOUT)).toEqual(['close']);
  });
});
