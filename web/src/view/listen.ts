import { onCleanup } from 'solid-js';

/** Adds an event listener for the lifetime of the current component. */
export function listen<E extends Event>(target: EventTarget, type: string, listener: (event: E) => void): void {
  target.addEventListener(type, listener as EventListener);
  onCleanup(() => target.removeEventListener(type, listener as EventListener));
}
