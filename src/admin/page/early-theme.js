// Before anything is painted: the theme that was chosen here, or the system's.
try {
  const theme = localStorage.getItem('heatsink.theme');
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden here; the system's theme it is.
}
