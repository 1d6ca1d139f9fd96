// Before anything is shown, so that nothing flashes: the theme that was chosen here, if any.
{
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
}
