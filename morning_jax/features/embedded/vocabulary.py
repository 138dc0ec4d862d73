"""What accounts of the embedded world write about: the words of its topics."""

from __future__ import annotations

# In the order of the topics' names (`data.synthetic.names`): nouns that no
# other topic has, those that are used most first.
TOPICS: tuple[tuple[str, str], ...] = (
  (
    'skin care',
    'skin serum cleanser moisturizer sunscreen lotion toner cream pore acne'
    ' wrinkle dermatologist complexion collagen balm',
  ),
  (
    'home cooking',
    'recipe kitchen soup garlic onion oven sauce pasta chicken dinner spice'
    ' tomato butter skillet stew',
  ),
  (
    'city trips',
    'city museum hotel airport suitcase cathedral skyline passport tourist'
    ' landmark metro gallery plaza itinerary souvenir',
  ),
  (
    'work-outs',
    'workout gym muscle trainer treadmill squat barbell stamina marathon'
    ' kettlebell athlete sprint biceps gymnast endurance',
  ),
  (
    'street style',
    'outfit jacket sneaker wardrobe denim hoodie handbag blazer boot skirt'
    ' sweater scarf trouser fabric stylist',
  ),
  (
    'new music',
    'song album concert guitar singer lyric melody playlist drummer studio'
    ' vinyl chorus bassist piano festival',
  ),
  (
    'family life',
    'family daughter son mother toddler baby father grandmother nursery'
    ' stroller sibling parent bedtime homework lullaby',
  ),
  (
    'coffee and cake',
    'coffee cake espresso bakery croissant cappuccino barista cupcake muffin'
    ' latte frosting pastry dessert cinnamon biscuit',
  ),
  (
    'gadgets',
    'phone laptop camera charger headphone battery keyboard processor gadget'
    ' tablet software smartphone screen microphone sensor',
  ),
  (
    'house plants',
    'plant leaf pot soil cactus fern greenhouse seedling orchid terrarium'
    ' fertilizer bamboo ivy sprout windowsill',
  ),
  (
    'road trips',
    'road car highway engine motel desert wheel mileage gasoline truck'
    ' windshield canyon driver motorcycle tyre',
  ),
  (
    'healthy eating',
    'salad smoothie protein avocado spinach vitamin oatmeal almond broccoli'
    ' calorie nutrition yogurt blueberry lentil kale',
  ),
  (
    'weddings',
    'wedding bride groom bouquet ceremony veil bridesmaid altar honeymoon'
    ' champagne vow florist engagement tuxedo banquet',
  ),
  (
    'books',
    'book novel author chapter library poem bookshop thriller paperback'
    ' biography plot publisher librarian bookcase essay',
  ),
  (
    'giveaways',
    'giveaway winner prize voucher raffle entry discount coupon contest'
    ' deadline ticket bonus sweepstake gift jackpot',
  ),
  (
    'hair and nails',
    'hair nail shampoo hairdresser manicure braid salon conditioner curl'
    ' ponytail wig lacquer fringe comb barber',
  ),
  (
    'match days',
    'football goal stadium team referee penalty coach defender league'
    ' goalkeeper midfielder striker tournament trophy halftime',
  ),
  (
    'good causes',
    'charity donation volunteer shelter refugee climate foundation fundraiser'
    ' hunger poverty petition orphanage activist recycling humanity',
  ),
  (
    'film nights',
    'film movie cinema actor popcorn director trailer sequel comedy actress'
    ' screenplay villain documentary premiere drama',
  ),
  (
    'pets',
    'dog cat puppy kitten vet leash collar hamster rabbit paw kennel parrot'
    ' terrier whisker aquarium',
  ),
  (
    'interior',
    'sofa lamp cushion curtain wallpaper carpet shelf armchair furniture'
    ' bedroom rug chandelier mirror decorator cabinet',
  ),
  (
    'night life',
    'cocktail bar club turntable vodka bartender dancefloor gin tequila party'
    ' bouncer disco lounge whiskey nightclub',
  ),
  (
    'outdoors',
    'mountain trail forest tent campfire lake hiker backpack river valley'
    ' waterfall summit canoe wilderness glacier',
  ),
  (
    'saving money',
    'money budget bank invoice mortgage loan salary investor pension debt'
    ' dividend bond economist spreadsheet landlord',
  ),
)
# A caption is sentences of these, each with a topic's word or two.
SENTENCES = (
  'My favourite {0} and the {1} of today.',
  'This is all about the {0} and my new {1}.',
  'We had a {0} with a {1} and it was so good!',
  'Nothing is better than a {0} after the {1}.',
  'Here is the {0} that I love, with another {1}.',
  'Who else needs a {0} or a {1} right now?',
  'They told me that the {0} is here. What a {1}!',
  'I really like this {0} because of its {1}.',
)
