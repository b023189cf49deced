// A complete YAML file with every option at its default, made from the schema.

import { stringify } from 'yaml';
import type { Option } from './option.ts';
import { OPTION_ENTRIES } from './schema.ts';

const HEAD = `# Every option of heatsink with its default. Copy what you change; what is left out keeps its default.
# Made by \`npm run docs\` from src/config/schema.ts. Check a file with: heatsink check-config FILE
`;

/** Lines that show what an option without a telling default looks like. */
const SAMPLES: Readonly<Record<string, string>> = {
  upstream: '# upstream: redis+cluster://10.0.0.1:6379,10.0.0.2:6379\n',
  'cluster.announce': '  # announce: redis.example.com:6380\n',
  users:
    '# users:\n#   - { name: default, nopass: true, readOnly: true }\n' +
    "#   - { name: app, password: '#2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae', keys: ['app:*'] }\n" +
    "#   - { name: ops, password: ['#fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9'], admin: true }\n",
  'drain.jobs':
    "  # jobs:\n  #   - { from: 'views:{day}', table: product_views, keyColumn: product_id, column: views }\n",
  policy: "# policy:\n#   keyspace: admin\n#   'config|set': deny\n",
  rules:
    "# rules:\n#   - { match: 'session:*', consistency: coalesce }\n#   - { match: 'report:*', consistency: ttl }\n",
};

/** The text of config.example.yaml. */
export function exampleFile(): string {
  let open = '';
  return OPTION_ENTRIES.reduce((text, [path, option]) => {
    const [first, second] = path.split('.');
    if (second === undefined) return `${text}\n${entry(first, option, '')}${SAMPLES[path] ?? ''}`;
    const heading = first === open ? '' : `\n${first}:\n`;
    open = first;
    return `${text}${heading}${entry(second, option, '  ')}${SAMPLES[path] ?? ''}`;
  }, HEAD);
}

function entry(key: string, option: Option, indent: string): string {
  const unit = option.unit === '' ? '' : ` (${option.unit})`;
  const value = option.default === null ? '' : ` ${stringify(option.default).trim()}`;
  return `${indent}# ${option.doc}${unit}\n${indent}${key}:${value}\n`;
}
