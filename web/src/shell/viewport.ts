/**
 * Where a keyboard on the screen covers the page instead of shrinking it (iOS), the page shrinks itself, so that the composer
 * stays in sight. Elsewhere this changes nothing.
 */
export function followViewport(): void {
  const viewport = window.visualViewport;
  if (!viewport) return;
  const root = document.documentElement;
  const update = () => {
    const covered = window.innerHeight - viewport.height;
    // Zooming in shrinks the visual viewport as well; that is no keyboard.
    if (viewport.scale === 1 && covered > 80) {
      root.style.setProperty('--height', `${viewport.height}px`);
      window.scrollTo(0, 0);
    } else {
      root.style.removeProperty('--height');
    }
  };
  viewport.addEventListener('resize', update);
}
