/**
 * The time that waits are reckoned in. It goes with the wall clock, through a laptop's sleep too, and never backwards: a clock
 * that was set back by an hour must not put off by an hour what is due in a second.
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
