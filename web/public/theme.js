// The theme and language that were chosen last time, before anything is painted. A file of its own, because the
// Content-Security-Policy allows no script inside the page; and not a module, because modules run after the first paint.
(function () {
  var root = document.documentElement;
  try {
    var theme = localStorage.getItem('teahouse.theme');
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
    var locale = localStorage.getItem('teahouse.locale');
    if (locale === 'zh') root.lang = 'zh-CN';
  } catch (_) {
    // Storage is denied: the system's theme it is.
  }
})();
