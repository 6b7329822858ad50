// A list that two people change at once.

/**
 * What was `loaded` and made to `own` here, made to what is `stored` now, which somebody else has changed. `keyOf` says
 * which entries are the same; of those with the same `placeOf`, there is one.
 */
export function merged(loaded, own, stored, keyOf, placeOf = keyOf) {
  const [before, now] = [loaded, own].map((list) => new Set(list.map(keyOf)));
  const isRemoved = (one) => before.has(keyOf(one)) && !now.has(keyOf(one));
  const all = new Map(stored.filter((one) => !isRemoved(one)).map((one) => [placeOf(one), one]));
  for (const one of own) if (!before.has(keyOf(one))) all.set(placeOf(one), one);
  return [...all.values()];
}
