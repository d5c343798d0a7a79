import type { JSX } from 'solid-js';

/** Small drawings, all of one hand: 20 × 20, a line of 1.6. They decorate; what they mean stands in the label beside them. */
function Icon(props: { children: JSX.Element }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      {props.children}
    </svg>
  );
}

export const RoomsIcon = () => <Icon><path d="M3.5 5.5h13M3.5 10h13M3.5 14.500h8" /></Icon>;
export const PeopleIcon = () => (
  <Icon>
    <circle cx="7.5" cy="7" r="2.8" />
    <path d="M2.5 16.200c.3-3 2.3-4.7 5-4.700s4.7 1.7 5 4.700M13 4.500a2.6 2.6 0 0 1 0 5M14.8 11.900c1.6.7 2.6 2.2 2.8 4.3" />
  </Icon>
);
export const SendIcon = () => <Icon><path d="M10 16V4.500M5 9.200l5-5 5 5" /></Icon>;
export const CloseIcon = () => <Icon><path d="m5 5 10 10M15 5 5 15" /></Icon>;
export const DownIcon = () => <Icon><path d="M10 4v11.500M5.2 11 10 15.8 14.8 11" /></Icon>;
export const LeaveIcon = () => <Icon><path d="M11.5 3.500h-6a1 1 0 0 0-1 1v11a1 1 0 0 0 1 1h6M9.5 10h7.500M14.2 7.2 17 10l-2.8 2.8" /></Icon>;
export const SettingsIcon = () => (
  <Icon>
    <path d="M3.5 6h7M14.5 6h2M3.5 14h2M9.5 14h7" />
    <circle cx="12.5" cy="6" r="2" />
    <circle cx="7.5" cy="14" r="2" />
  </Icon>
);
export const PlusIcon = () => <Icon><path d="M10 4.500v11M4.5 10h11" /></Icon>;
export const SearchIcon = () => <Icon><circle cx="9" cy="9" r="4.8" /><path d="m12.7 12.7 3.3 3.3" /></Icon>;
export const WaitIcon = () => <Icon><circle cx="10" cy="10" r="6.5" /><path d="M10 6.500V10l2.3 1.5" /></Icon>;
export const AlertIcon = () => <Icon><circle cx="10" cy="10" r="6.8" /><path d="M10 6.500v4M10 13.400v.1" /></Icon>;

/** The house's sign: a gaiwan, lid ajar above the bowl. */
export function Logo(props: { steam?: boolean }) {
  return (
    <svg class="logo" viewBox="0 0 64 64" aria-hidden="true">
      {props.steam && (
        <g class="steam" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round">
          <path d="M24 9c-3-3 3-4.5 0-8" />
          <path d="M32 7c-3-3 3-4.5 0-8" />
          <path d="M40 9c-3-3 3-4.5 0-8" />
        </g>
      )}
      <g fill="currentColor">
        <rect x="28.5" y="12" width="7" height="5" rx="2.5" />
        <path d="M17.2 26.200C18.6 20.4 24.6 17.6 32 17.600s13.4 2.8 14.8 8.600c.2.8-.4 1.4-1.2 1.400H18.400c-.8 0-1.4-.6-1.2-1.400z" />
        <path d="M14.6 30.400h34.800c.8 0 1.3.6 1.2 1.4-.9 7.6-4.9 13.4-10.4 15.600H23.800c-5.5-2.2-9.5-8-10.4-15.6-.1-.8.4-1.4 1.2-1.400z" />
        <path d="M12.5 49.800h39c.8 0 1.3.8.9 1.5-1 1.8-2.9 2.7-5 2.700H16.600c-2.1 0-4-.9-5-2.7-.4-.7.1-1.5.9-1.500z" />
      </g>
    </svg>
  );
}
