/**
 * Shrinks the page where an on-screen keyboard covers it instead of resizing it (iOS), so that the composer stays visible.
 * Elsewhere this changes nothing.
 */
export function followViewport(): void {
  const viewport = window.visualViewport;
  if (!viewport) return;
  const root = document.documentElement;
  const update = () => {
    const covered = window.innerHeight - viewport.height;
    // Zooming shrinks the visual viewport too, without a keyboard.
    if (viewport.scale === 1 && covered > 80) {
      root.style.setProperty('--height', `${viewport.height}px`);
      window.scrollTo(0, 0);
    } else {
      root.style.removeProperty('--height');
    }
  };
  viewport.addEventListener('resize', update);
}
