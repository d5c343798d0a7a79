// Applies the stored theme and language before the first paint. A file of its own, because the Content-Security-Policy allows
// no inline script; a classic script, because modules run after the first paint.
(function () {
  var root = document.documentElement;
  var theme = null;
  try {
    theme = localStorage.getItem('teahouse.theme');
    if (localStorage.getItem('teahouse.locale') === 'zh') root.lang = 'zh-CN';
  } catch (_) {
    // Storage is denied: the system's theme applies.
  }
  if (theme !== 'light' && theme !== 'dark') theme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  root.dataset.theme = theme;
})();
