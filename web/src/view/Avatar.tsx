import { hueOf, initialsOf } from '../core/avatar';

/** A color and initials. Hidden from screen readers, because the name is always next to it. */
export function Avatar(props: { id: string; name: string; small?: boolean }) {
  const initials = () => initialsOf(props.name);
  return (
    <span class="avatar" classList={{ small: props.small ?? false, wide: initials().length > 1 }} style={{ '--hue': String(hueOf(props.id)) }} aria-hidden="true">
      {initials()}
    </span>
  );
}
