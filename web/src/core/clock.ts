/**
 * A clock for delays. It follows the wall clock, also through a laptop's sleep, but never runs backwards: a wall clock that is
 * set back by an hour must not delay a retry by an hour.
 */
export class Clock {
  #last = -Infinity;
  #ahead = 0;

  readonly #wall: () => number;

  constructor(wall: () => number) {
    this.#wall = wall;
  }

  now(): number {
    const wall = this.#wall();
    if (wall + this.#ahead < this.#last) this.#ahead = this.#last - wall;
    this.#last = wall + this.#ahead;
    return this.#last;
  }
}
