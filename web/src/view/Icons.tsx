import type { JSX } from 'solid-js';

/** Icons of 20 × 20 with a stroke of 1.6. Hidden from screen readers; the label is next to them. */
function Icon(props: { children: JSX.Element }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      {props.children}
    </svg>
  );
}

export const RoomsIcon = () => <Icon><path d="M3.5 5.5h13M3.5 10h13M3.5 14.5h8" /></Icon>;
export const UsersIcon = () => (
  <Icon>
    <circle cx="7.5" cy="7" r="2.8" />
    <path d="M2.5 16.2c.3-3 2.3-4.7 5-4.7s4.7 1.7 5 4.700M13 4.5a2.6 2.6 0 0 1 0 5M14.8 11.9c1.6.7 2.6 2.2 2.8 4.3" />
  </Icon>
);
export const SendIcon = () => <Icon><path d="M10 16V4.5M5 9.2l5-5 5 5" /></Icon>;
export const CloseIcon = () => <Icon><path d="m5 5 10 10M15 5 5 15" /></Icon>;
export const DownIcon = () => <Icon><path d="M10 4v11.5M5.2 11 10 15.8 14.8 11" /></Icon>;
export const LeaveIcon = () => <Icon><path d="M11.5 3.5h-6a1 1 0 0 0-1 1v11a1 1 0 0 0 1 1h6M9.5 10h7.5M14.2 7.2 17 10l-2.8 2.8" /></Icon>;
export const SettingsIcon = () => (
  <Icon>
    <path d="M3.5 6h7M14.5 6h2M3.5 14h2M9.5 14h7" />
    <circle cx="12.5" cy="6" r="2" />
    <circle cx="7.5" cy="14" r="2" />
  </Icon>
);
export const PlusIcon = () => <Icon><path d="M10 4.5v11M4.5 10h11" /></Icon>;
export const SearchIcon = () => <Icon><circle cx="9" cy="9" r="4.8" /><path d="m12.7 12.7 3.3 3.3" /></Icon>;
export const WaitIcon = () => <Icon><circle cx="10" cy="10" r="6.5" /><path d="M10 6.5V10l2.3 1.5" /></Icon>;
export const AlertIcon = () => <Icon><circle cx="10" cy="10" r="6.8" /><path d="M10 6.5v4M10 13.4v.1" /></Icon>;

/** The logo: a gaiwan on its saucer, with the lid ajar. */
export function Logo(props: { steam?: boolean }) {
  return (
    <svg class="logo" viewBox="0 0 48 48" aria-hidden="true">
      {props.steam && (
        <g class="steam" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round">
          <path d="M17 2c-2.4-2.6 2.4-4.2 0-7" />
          <path d="M24 0c-2.4-2.6 2.4-4.2 0-7" />
          <path d="M31 2c-2.4-2.6 2.4-4.2 0-7" />
        </g>
      )}
      <g fill="currentColor">
        <path d="M11.4 18.6c.9-5.6 6-8.9 11.1-9.3l-.2-1.5c-.1-1 .5-1.8 1.4-1.9.9-.1 1.6.5 1.7 1.5l.2 1.5c5.1-.7 10.9 1 13.2 6.2.3.8-.1 1.5-.9 1.6l-25.2 3.2c-.8.1-1.4-.5-1.3-1.3z" />
        <path d="M6.6 22.3h34.8c.8 0 1.3.6 1.2 1.4-.7 6.7-4.3 12.2-9.7 14.9H15.1c-5.4-2.7-9-8.2-9.7-14.9-.1-.8.4-1.4 1.2-1.4z" />
        <path d="M5.2 41h37.6c.9 0 1.4.9.8 1.6-1.2 1.6-3.2 2.4-5.5 2.4H9.9c-2.3 0-4.3-.8-5.5-2.4-.6-.7-.1-1.6.8-1.6z" />
      </g>
    </svg>
  );
}
