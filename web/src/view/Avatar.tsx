import { hueOf, initialsOf } from '../core/avatar';

/** A colour and a letter or two. The name always stands beside it, so it says nothing to a screen reader. */
export function Avatar(props: { id: string; name: string; small?: boolean }) {
  const initials = () => initialsOf(props.name);
  return (
    <span class="avatar" classList={{ small: props.small ?? false, wide: initials().length > 1 }} style={{ '--hue': String(hueOf(props.id)) }} aria-hidden="true">
      {initials()}
    </span>
  );
}
