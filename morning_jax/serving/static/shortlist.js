// The shortlist: kept in this browser, shown by the address of its page.
'use strict';

(() => {
  const KEY = 'shortlists';

  const read = () => {
    try {
      const found = JSON.parse(localStorage.getItem(KEY));
      if (found === null || typeof found !== 'object') return new Map();
      return new Map(
        Object.entries(found).filter(([, names]) => Array.isArray(names)),
      );
    } catch {
      return new Map();
    }
  };

  const write = (lists) => {
    for (const [brand, names] of lists) {
      if (!names.length) lists.delete(brand);
    }
    try {
      localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(lists)));
    } catch {
      // No room, or not allowed: the list lives as long as the page.
    }
    show(lists);
  };

  const addressOf = (brand, names) => {
    const query = new URLSearchParams([['brand', brand]]);
    for (const name of names) query.append('influencer', name);
    return `/shortlist?${query}`;
  };

  const here = document.body.dataset.brand;

  const show = (lists) => {
    const brand = lists.has(here) ? here : null;
    const count = brand
      ? lists.get(brand).length
      : [...lists.values()].reduce((sum, names) => sum + names.length, 0);
    for (const link of document.querySelectorAll('[data-shortlist-link]')) {
      link.href = brand ? addressOf(brand, lists.get(brand)) : '/shortlist';
      link.querySelector('[data-shortlist-count]').textContent = count || '';
    }
    for (const button of document.querySelectorAll('[data-add]')) {
      const names = lists.get(button.dataset.for) ?? [];
      button.hidden = false;
      button.setAttribute('aria-pressed', names.includes(button.dataset.add));
    }
    for (const place of document.querySelectorAll('[data-my-lists]')) {
      const items = [...lists].map(([name, names]) => {
        const link = document.createElement('a');
        link.href = addressOf(name, names);
        link.textContent = `${name}: ${names.length}`;
        const item = document.createElement('li');
        item.append(link);
        return item;
      });
      const list = document.createElement('ul');
      list.append(...items);
      place.replaceChildren(...(items.length ? [list] : []));
      document.querySelector('[data-no-list]').hidden = items.length > 0;
    }
    for (const place of document.querySelectorAll('[data-keep]')) {
      const names = JSON.parse(place.dataset.names);
      const kept = lists.get(place.dataset.keep) ?? [];
      place.hidden =
        names.length === kept.length && names.every((n) => kept.includes(n));
    }
  };

  const remove = (brand, name) => {
    const lists = read();
    lists.set(brand, (lists.get(brand) ?? []).filter((n) => n !== name));
    write(lists);
  };

  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-add]');
    if (button) {
      const { for: brand, add: name } = button.dataset;
      const lists = read();
      const names = lists.get(brand) ?? [];
      if (names.includes(name)) {
        remove(brand, name);
      } else {
        lists.set(brand, [...names, name]);
        write(lists);
      }
    }
    const link = event.target.closest('[data-remove]');
    if (link) remove(link.dataset.for, link.dataset.remove);
    const keep = event.target.closest('[data-keep] button')?.parentElement;
    if (keep) {
      const lists = read();
      lists.set(keep.dataset.keep, JSON.parse(keep.dataset.names));
      write(lists);
    }
  });

  document.addEventListener('submit', async (event) => {
    const form = event.target.closest('[data-post]');
    if (!form) return;
    event.preventDefault();
    const problem = form.querySelector('.problem');
    problem.textContent = '';
    try {
      JSON.parse(form.elements.json.value);
    } catch {
      problem.textContent = 'This is no well-formed JSON.';
      return;
    }
    const answer = await fetch(form.dataset.post, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: form.elements.json.value,
    });
    if (!answer.ok) {
      problem.textContent = (await answer.json()).error.message;
      return;
    }
    const page = new DOMParser().parseFromString(
      await answer.text(),
      'text/html',
    );
    const result = document.querySelector('[data-result]');
    result.replaceChildren(...page.body.children);
    result.focus();
  });

  for (const place of document.querySelectorAll('[data-paste]')) {
    place.hidden = false;
  }
  for (const place of document.querySelectorAll('[data-without-script]')) {
    place.hidden = true;
  }
  // Also after the back button, and when another tab changes the list.
  addEventListener('pageshow', () => show(read()));
  addEventListener('storage', () => show(read()));
})();
