// Templates of keys: text with {placeholders}, each a field of what the template is filled from, or a field of a field.

/** What `parseTemplate` takes, in the words of messages. */
export const TEMPLATE_FORM =
  'a key such as product:{id} or cart:{{{user.id}}}:items, where {{ and }} stand for braces of the key itself';

/** Literal text, and the paths of fields between: `['product:', ['store', 'id'], ':v1']`. */
export type KeyTemplate = readonly (string | readonly string[])[];

const PIECE = /\{\{|\}\}|\{([^{}]*)\}|[^{}]+|[{}]/g;
const FIELD = /^[^\s.{}]+(\.[^\s.{}]+)*$/;

/** Reads a template. Throws an Error whose message says what is wrong with it. */
export function parseTemplate(text: string): KeyTemplate {
  const parts: (string | string[])[] = [];
  for (const [piece, field] of text.matchAll(PIECE)) {
    if (field !== undefined) {
      if (!FIELD.test(field)) throw new Error(`"${piece}" names no field`);
      parts.push(field.split('.'));
    } else if (piece === '{' || piece === '}') {
      throw new Error(`the brace "${piece}" has no partner`);
    } else {
      parts.push(piece === '{{' ? '{' : piece === '}}' ? '}' : piece);
    }
  }
  return parts;
}
