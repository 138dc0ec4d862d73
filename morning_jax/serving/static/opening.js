// Asks until the server is ready, then shows the page that was asked for.
const again = () => setTimeout(ask, 1000);
const ask = () =>
  fetch(location.href, { method: 'HEAD' })
    .then((answer) => (answer.status === 503 ? again() : location.reload()))
    .catch(again);
again();
