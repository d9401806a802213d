// Runs before the first paint. Without a choice of theme, the system's is taken and remembered.
(() => {
  if (document.cookie.split("; ").some((part) => part.startsWith("plumbline_theme="))) return;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.cookie = `plumbline_theme=${dark ? "dark" : "light"}; path=/; max-age=31536000; SameSite=Lax`;
  if (dark && document.cookie.includes("plumbline_theme=dark")) location.reload();
})();
