// Sets the theme before anything is drawn. Not a module, because modules run later.
{
  const theme = localStorage.getItem("muster.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
