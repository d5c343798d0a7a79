/**
 * The functions of which the generated validators consist. A validator returns a copy with the fields of its schema, or null:
 * a value that does not match is never guessed.
 */

export type Validator<T> = (value: unknown) => T | null;
export type Valid<V> = V extends Validator<infer T> ? T : never;
type Fields = Record<string, Validator<unknown>>;
type Flat<T> = { [K in keyof T]: T[K] };

export type RoomId = `r${number}`;
export type UserId = `u${number}`;

export const text: Validator<string> = (value) => (typeof value === 'string' ? value : null);
export const flag: Validator<boolean> = (value) => (typeof value === 'boolean' ? value : null);
/** An integer that JavaScript represents exactly: below 2^53. */
export const count: Validator<number> = (value) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
export const roomId: Validator<RoomId> = (value) => (isId(value, 'r') ? (value as RoomId) : null);
export const userId: Validator<UserId> = (value) => (isId(value, 'u') ? (value as UserId) : null);

function isId(value: unknown, prefix: string): boolean {
  return typeof value === 'string' && value[0] === prefix && /^.(0|[1-9]\d{0,19})$/.test(value);
}

export function is<T extends string>(constant: T): Validator<T> {
  return (value) => (value === constant ? constant : null);
}

/** One of these texts. Others, which a newer server may send, become the fallback. */
export function oneOf<T extends string>(values: readonly T[], fallback: T): Validator<T> {
  return (value) => (typeof value !== 'string' ? null : values.includes(value as T) ? (value as T) : fallback);
}

/** A list in which every item is valid: with one invalid item the whole list is, because a page must not have a hole. */
export function list<T>(item: Validator<T>): Validator<T[]> {
  return (value) => {
    if (!Array.isArray(value)) return null;
    const items = value.map(item);
    return items.includes(null) ? null : (items as T[]);
  };
}

export function object<R extends Fields, O extends Fields = Record<never, never>>(required: R, optional?: O) {
  type Result = Flat<{ [K in keyof R]: Valid<R[K]> } & { [K in keyof O]?: Valid<O[K]> }>;
  return (value: unknown): Result | null => {
    if (!isObject(value)) return null;
    const found: Record<string, unknown> = {};
    for (const fields of [required, optional]) {
      for (const name in fields) {
        if (value[name] === undefined && fields === optional) continue;
        const field = (fields as Fields)[name]!(value[name]);
        if (field === null) return null;
        found[name] = field;
      }
    }
    return found as Result;
  };
}

/** An object whose `type` distinguishes it from the other frames. */
export function tagged<T>(variants: Record<string, Validator<T>>): Validator<T> {
  return (value) => {
    if (!isObject(value) || typeof value.type !== 'string' || !Object.hasOwn(variants, value.type)) return null;
    return variants[value.type]!(value);
  };
}

/**
 * An event. One of a type that this page does not know keeps its number and is not displayed: omitted, it would be a gap that no
 * page fills. `reserved` are the types of frames that are not events.
 */
export function eventOf<T extends { seq: number }, N extends { seq: number }>(
  variants: Record<string, Validator<T>>, numbered: Validator<N>, reserved: readonly string[],
): Validator<T | Flat<{ type: 'unknown' } & N>> {
  const known = tagged(variants);
  return (value) => {
    const base = numbered(value);
    if (!base || base.seq < 1 || !isObject(value) || typeof value.type !== 'string') return null;
    if (Object.hasOwn(variants, value.type)) return known(value);
    return reserved.includes(value.type) ? null : { type: 'unknown', ...base };
  };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
