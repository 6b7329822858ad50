// Parses Adaptive Cards with Microsoft's library: the cards as JSON in, and for each one its faults and its texts out.

import { createRequire } from 'node:module';

// The bundle, because the module of this package needs a bundler.
const { AdaptiveCard, RichTextBlock, SerializationContext } = createRequire(`${process.env.TEST_NODE_MODULES}/`)(
  'adaptivecards/dist/adaptivecards.js',
);

const parts = [];
for await (const part of process.stdin) parts.push(part);
const cards = JSON.parse(Buffer.concat(parts).toString());

const read = (json) => {
  const card = new AdaptiveCard();
  const context = new SerializationContext();
  card.parse(json, context);
  const told = Array.from({ length: context.eventCount }, (_, number) => context.getEventAt(number).message);
  const invalid = card.validateProperties().validationEvents.map(({ message }) => message);
  const blocks = Array.from({ length: card.getItemCount() }, (_, number) => card.getItemAt(number));
  const texts = blocks
    .filter((block) => block instanceof RichTextBlock)
    .map((block) => Array.from({ length: block.getInlineCount() }, (_, number) => block.getInlineAt(number).text).join(''));
  const links = Array.from({ length: card.getActionCount() }, (_, number) => card.getActionAt(number).url);
  return { faults: [...told, ...invalid], texts, links };
};

process.stdout.write(JSON.stringify(cards.map(read)));
