"""Every page in a real browser: Debian's Chromium, driven by Playwright.

They skip where there is no Chromium, and fail there if REQUIRE_BROWSER is set.
"""

import os
import re
import shutil

import pytest

from morning_jax.serving import app as app_lib
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import opening as opening_lib
from morning_jax.serving import settings as settings_lib
from morning_jax.serving import site
from tests import runs
from tests.recommend import models
from tests.serving import running

CHROMIUM = os.environ.get('CHROMIUM') or shutil.which('chromium')
# The brand and the influencer of the hostile world.
BRAND = '<img src=x onerror=alert(1)>"\'&'
WHO = '<script>alert(2)</script> \u202eevil'
BIO = '"><script>document.title="owned"</script><svg onload=alert(3)>'
NAMES = ['creator_0002', 'creator_0003', 'creator_0004']


def unavailable(why: str) -> None:
  if os.environ.get('REQUIRE_BROWSER'):
    pytest.fail(why)
  pytest.skip(why)


@pytest.fixture(scope='module')
def address():
  """A server whose first brand and influencer attack."""
  dataset = runs.small_world()
  accounts = dataset.accounts
  ids = accounts.ids.astype(object)
  ids[accounts.rows_of(0)[0]] = BRAND
  ids[accounts.rows_of(1)[0]] = WHO
  biographies = accounts.biographies.astype(object)
  biographies[accounts.rows_of(1)[0]] = BIO
  changed = models.change(
    dataset, ids=ids.astype(str), biographies=biographies.astype(str)
  )
  engine = engine_lib.Engine(models.catalogue('lookup', changed))
  with running.running(engine, settings_lib.Settings(seconds=300)) as port:
    yield f'http://127.0.0.1:{port}'


@pytest.fixture(scope='module')
def chromium():
  if CHROMIUM is None:
    unavailable('no chromium is installed')
  try:
    from playwright import sync_api
  except ImportError:
    unavailable('playwright is not installed')
  sync_api.expect.set_options(timeout=120_000)  # of a busy machine
  with sync_api.sync_playwright() as p:
    browser = p.chromium.launch(
      executable_path=CHROMIUM,
      args=['--no-sandbox', '--disable-dev-shm-usage'],
    )
    yield browser
    browser.close()


@pytest.fixture
def visit(chromium, address):
  """Opens contexts; in the end no page may have complained or gone away."""
  complaints, contexts = [], []

  def open_page(**options):
    context = chromium.new_context(base_url=address, **options)
    context.set_default_timeout(120_000)
    contexts.append(context)
    page = context.new_page()
    page.on('console', lambda m: complaints.append(m.text))
    page.on('pageerror', lambda e: complaints.append(str(e)))
    page.on('dialog', lambda d: (complaints.append(d.message), d.dismiss()))
    page.on(
      'request',
      lambda r: (
        r.url.startswith((address, 'data:')) or complaints.append(r.url)
      ),
    )
    return page

  yield open_page
  for context in contexts:
    context.close()
  assert complaints == []


def ranking(page, brand='shoes_02'):
  page.goto('/')
  page.get_by_label('Search for a brand').fill(brand)
  follow(page, page.get_by_role('button', name='Search'))
  follow(page, page.get_by_role('link', name=brand).first)


def follow(page, locator):
  """Clicks what leads to another page, and waits until that is there."""
  with page.expect_navigation():
    locator.click()


def names_on(page):
  return page.locator('.card h2 bdi').all_inner_texts()


def wide(page):
  """By how many pixels a page is wider than its window."""
  return page.locator('html').evaluate('e => e.scrollWidth - e.clientWidth')


def every_page(brand, who):
  return {
    'brands': ('/', {}),
    'ranking': ('/ranking', {'brand': brand, 'followers_from': '100'}),
    'taste': ('/ranking', {'brand': brand, 'like': NAMES[0], 'dislike': who}),
    'nobody': ('/ranking', {'brand': brand, 'followers_from': '99999999'}),
    'influencer': ('/influencer', {'influencer': who, 'brand': brand}),
    'shortlist': (
      '/shortlist',
      {'brand': brand, 'influencer': [who, *NAMES], 'count': 2, 'reach': 0.5},
    ),
    'no shortlist': ('/shortlist', {}),
    'new brand': ('/new-brand', {'topic': 2}),
    'about': ('/about', {}),
    'privacy': ('/privacy', {}),
    'api': ('/api', {}),
  }


PAGES = every_page(BRAND, WHO)
# Of hundreds of boxes to tick, axe need not measure each.
ALIKE = {'exclude': ['.ticks.scroll label:nth-of-type(n+12)']}


@pytest.mark.parametrize('name', PAGES)
def test_every_page_is_accessible_and_fits(visit, name):
  from axe_playwright_python import sync_playwright as axe_lib

  path, parameters = PAGES[name]
  axe = axe_lib.Axe()
  page = visit(viewport={'width': 1200, 'height': 900})
  page.goto(site.address(path, **parameters))
  found = axe.run(page, context=ALIKE)
  assert found.violations_count == 0, found.generate_report()
  assert wide(page) <= 0
  # The same page on a phone at night.
  page.set_viewport_size({'width': 360, 'height': 740})
  page.emulate_media(color_scheme='dark')
  assert wide(page) <= 0
  found = axe.run(page, context=ALIKE, options={'runOnly': ['color-contrast']})
  assert found.violations_count == 0, found.generate_report()
  assert page.title() != 'owned'


def test_filters_and_the_back_button(visit):
  page = visit()
  ranking(page)
  before = names_on(page)
  assert len(before) == 10
  page.get_by_role('heading', name='Filters').click()
  page.get_by_label('from').fill('30000')
  page.get_by_role('group', name='Found under').get_by_label('shoes').check()
  follow(page, page.get_by_role('button', name='Apply'))
  after = names_on(page)
  assert after and after != before
  for text in page.locator('.card .facts').all_inner_texts():
    assert (
      int(re.search(r'([\d,]+) followers', text)[1].replace(',', '')) >= 30000
    )
  page.go_back()
  assert names_on(page) == before
  page.go_forward()
  assert names_on(page) == after
  assert page.get_by_label('from').input_value() == '30000'


def test_a_shortlist_is_kept_compared_chosen_and_taken_along(visit, tmp_path):
  from playwright.sync_api import expect

  page = visit()
  ranking(page)
  names = names_on(page)[:3]
  buttons = page.get_by_role('button', name='shortlist')
  for i in range(3):
    buttons.nth(i).click()
  assert buttons.nth(0).get_attribute('aria-pressed') == 'true'
  expect(buttons.nth(0)).to_have_text(re.compile('On the shortlist'))
  buttons.nth(2).click()  # and off again
  link = page.get_by_role('navigation', name='Pages').get_by_role(
    'link', name='Shortlist'
  )
  expect(link).to_have_text('Shortlist2')
  page.reload()
  expect(link).to_have_text('Shortlist2')
  follow(page, link)
  rows = page.locator('tbody tr')
  expect(rows).to_have_count(2)
  listed = page.locator('tbody th bdi').all_inner_texts()
  assert sorted(listed) == sorted(names[:2])
  with page.expect_download() as download:
    page.get_by_role('link', name='CSV').click()
  file = tmp_path / 'list.csv'
  download.value.save_as(file)
  text = file.read_text('utf-8-sig')
  assert all(name in text for name in listed) and len(text.splitlines()) == 3
  # A colleague who gets the address sees the same, and may keep it.
  other = visit()
  other.goto(page.url)
  expect(other.locator('tbody tr')).to_have_count(2)
  other.get_by_role('button', name='Keep this list').click()
  other.goto('/shortlist')
  other.get_by_role('link', name='shoes_02: 2').click()
  expect(other.locator('tbody tr')).to_have_count(2)
  # One is chosen by price.
  page.get_by_label(f'Price of {listed[0]}').fill('500')
  page.get_by_label(f'Price of {listed[1]}').fill('80')
  page.get_by_label('Budget').fill('100')
  follow(page, page.get_by_role('button', name='Choose'))
  expect(page.get_by_role('status')).to_contain_text(f'Chosen: {listed[1]}')
  page.get_by_role('link', name=f'Remove {listed[0]}').click()
  expect(rows).to_have_count(1)
  expect(link).to_have_text('Shortlist1')
  page.go_back()
  expect(rows).to_have_count(2)


def test_taste_ranks_again_and_is_undone(visit):
  page = visit()
  ranking(page)
  before = names_on(page)
  follow(page, page.get_by_role('link', name=f'Less like this {before[0]}'))
  assert before[0] not in names_on(page)
  assert page.locator('.moved').count() == 10
  follow(page, page.get_by_role('link', name=f'Undo disliking {before[0]}'))
  assert names_on(page) == before


def test_without_scripts_all_but_the_shortlist_s_button_works(visit):
  page = visit(java_script_enabled=False)
  ranking(page)
  before = names_on(page)
  assert page.locator('[data-add]:visible').count() == 0
  page.locator('summary', has_text='Filters').click()
  page.get_by_label('from').fill('30000')
  follow(page, page.get_by_role('button', name='Apply'))
  assert names_on(page) and names_on(page) != before
  follow(page, page.locator('.card h2 a').first)
  assert page.get_by_role('heading', name='Others like this one').is_visible()
  page.goto('/new-brand')
  page.get_by_label('city trips').first.check()
  follow(page, page.get_by_role('button', name='Find influencers'))
  assert page.get_by_role('heading', name='Who would suit').is_visible()
  page.goto('/shortlist')
  assert page.get_by_text('your browser must allow scripts').is_visible()
  page.goto(f'/shortlist?brand=shoes_02&influencer={NAMES[0]}')
  assert page.locator('tbody tr').count() == 1


def test_a_pasted_brand_is_ranked_in_place(visit):
  from playwright.sync_api import expect

  page = visit()
  page.goto('/new-brand')
  page.get_by_text('Or paste').click()
  box = page.get_by_label('The brand', exact=True)
  box.fill('{"attributes": ')
  button = page.get_by_role('button', name='Find influencers').nth(1)
  button.click()
  expect(page.get_by_role('alert')).to_have_text('This is no well-formed JSON.')
  box.fill('{"attributes": ["coffee fan"]}')
  button.click()
  expect(page.locator('.card')).to_have_count(10)
  expect(page.locator('.problem')).to_have_text('')


def test_a_problem_of_a_pasted_brand_is_said(chromium, address):
  page = chromium.new_context(base_url=address).new_page()
  page.goto('/new-brand')
  page.get_by_text('Or paste').click()
  page.get_by_label('The brand', exact=True).fill(
    '{"attributes": ["nonsense"]}'
  )
  page.get_by_role('button', name='Find influencers').nth(1).click()
  page.get_by_text("attribute 'nonsense' is none").wait_for()
  page.context.close()


def test_a_page_that_is_opened_too_early_goes_on_by_itself(chromium, engine):
  from axe_playwright_python import sync_playwright as axe_lib
  from playwright import sync_api

  settings = settings_lib.Settings(seconds=300)
  opening = opening_lib.Opening(settings)
  with running.serving(opening, settings) as port:
    context = chromium.new_context(viewport={'width': 360, 'height': 640})
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.goto(f'http://127.0.0.1:{port}/about')
    sync_api.expect(page.locator('h1')).to_have_text('Getting ready')
    found = axe_lib.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.emulate_media(color_scheme='dark')
    found = axe_lib.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert wide(page) <= 0
    opening.open(app_lib.create_app(engine, settings))
    sync_api.expect(page.locator('h1')).to_have_text('How good is it?')
    context.close()


def test_the_keyboard_is_enough(visit):
  page = visit()
  page.goto('/')
  page.keyboard.press('Tab')
  assert page.locator(':focus').inner_text() == 'Skip to the content'
  page.keyboard.press('Enter')
  page.keyboard.press('Tab')
  assert page.locator(':focus').get_attribute('id') == 'search'
  page.keyboard.type('shoes_02')
  page.keyboard.press('Enter')
  page.get_by_role('heading', name='1 of 48 brands').wait_for()
  for _ in range(20):
    page.keyboard.press('Tab')
    if 'shoes_02' in page.locator(':focus').inner_text():
      break
  page.keyboard.press('Enter')
  page.get_by_role('heading', name='Influencers for shoes_02').wait_for()
  for _ in range(40):
    page.keyboard.press('Tab')
    focus = page.locator(':focus')
    if focus.get_attribute('data-add'):
      break
  outline = focus.evaluate('e => getComputedStyle(e).outlineStyle')
  assert outline != 'none'
  page.keyboard.press('Space')
  assert focus.get_attribute('aria-pressed') == 'true'


def test_hostile_names_are_text(visit):
  page = visit()
  ranking(page, brand=BRAND)
  assert page.get_by_role('heading', level=1).inner_text().endswith(BRAND)
  page.goto(site.address('/influencer', influencer=WHO, brand=BRAND))
  assert page.locator('.bio').inner_text() == BIO
  page.get_by_role('button', name='Add to shortlist').click()
  page.goto('/shortlist')
  follow(page, page.get_by_role('link', name=f'{BRAND}: 1'))
  assert page.locator('tbody th bdi').inner_text() == WHO
  assert page.locator('img').count() == 0
  assert page.title() != 'owned'


def test_colours_follow_the_system(visit):
  shades = []
  for scheme in ('light', 'dark'):
    page = visit(color_scheme=scheme)
    page.goto('/')
    shades.append(
      page.locator('body').evaluate('e => getComputedStyle(e).backgroundColor')
    )
  assert shades[0] != shades[1]


def test_a_browser_is_demanded_where_it_must_be(monkeypatch):
  monkeypatch.setenv('REQUIRE_BROWSER', '1')
  with pytest.raises(pytest.fail.Exception):
    unavailable('none')
  monkeypatch.delenv('REQUIRE_BROWSER')
  with pytest.raises(pytest.skip.Exception):
    unavailable('none')
