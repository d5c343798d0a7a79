// Renders /api/v1/openapi.json. It fetches nothing else, and writes text only, so that nothing in the document is markup.
'use strict';

/** An element with children; a string is text. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Text in which `…` is code. */
function prose(text) {
  return (text ?? '').split('`').map((part, index) => (index % 2 ? element('code', {}, part) : part));
}

function table(head, rows) {
  const cells = (kind, row) => element('tr', {}, ...row.map((cell) => element(kind, {}, ...[cell].flat())));
  return element('table', {}, element('thead', {}, cells('th', head)), element('tbody', {}, ...rows.map((row) => cells('td', row))));
}

/** A short name of a schema, linked to its component. */
function typeName(schema) {
  if (!schema) return [''];
  if (schema.$ref) {
    const name = schema.$ref.split('/').pop();
    return [element('a', { href: `#schema-${name}` }, name)];
  }
  if (schema.type === 'array') return ['list of ', ...typeName(schema.items)];
  if ('const' in schema) return [element('code', {}, JSON.stringify(schema.const))];
  const variants = schema.oneOf ?? schema.anyOf;
  if (variants && !schema.type) return variants.flatMap((variant, index) => [...(index ? [' or '] : []), ...typeName(variant)]);
  return [schema.type ?? 'anything'];
}

function fields(schema) {
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([name, field]) => [
    element('code', {}, required.has(name) ? name : `${name}?`), typeName(field), prose(field.description),
  ]);
  return rows.length ? [table(['field', 'type', 'meaning'], rows)] : [];
}

function component(name, schema) {
  const variants = (schema.oneOf ?? schema.anyOf ?? []).flatMap((variant) => [
    element('p', {}, ...typeName(variant), ' ', ...prose(variant.description)), ...fields(variant),
  ]);
  return element('section', { id: `schema-${name}` }, element('h3', {}, name),
    element('p', {}, ...prose(schema.description)), ...fields(schema), ...variants);
}

function operation(method, path, it) {
  const body = it.requestBody?.content['application/json'].schema;
  const about = [
    ['session', it.security.length ? 'required' : 'not required'],
    ['permission', it['x-permission']], ['rate', it['x-rate-class']], ['events', it['x-events']?.join(', ')],
  ].filter(([, value]) => value);
  return element('section', { id: it.operationId }, element('h3', {}, it.operationId), element('p', {}, ...prose(it.summary)),
    element('div', { class: 'route' }, element('span', { class: 'method' }, method.toUpperCase()), ` ${path}`),
    element('p', {}, about.map(([name, value]) => `${name}: ${value}`).join(' · ')),
    ...(it.parameters ? [table(['parameter', 'in', 'type', 'meaning'], it.parameters.map((parameter) => [
      element('code', {}, parameter.required ? parameter.name : `${parameter.name}?`), parameter.in,
      typeName(parameter.schema), prose(parameter.description),
    ]))] : []),
    ...(body ? [element('h4', {}, 'Body'), ...(body.$ref ? [element('p', {}, ...typeName(body))] : fields(body))] : []),
    table(['status', 'body', 'meaning'], Object.entries(it.responses).map(([status, response]) => [
      status, typeName(response.content?.['application/json']?.schema), prose(response.description),
    ])));
}

function contents(title, names, link) {
  return [element('h2', {}, title), element('ul', {}, ...names.map((name) => element('li', {}, element('a', { href: link(name) }, name))))];
}

async function render() {
  const spec = await (await fetch('/api/v1/openapi.json')).json();
  const operations = Object.entries(spec.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, it]) => ({ tag: it.tags[0], name: it.operationId, section: operation(method, path, it) })));
  const main = document.getElementById('operations');
  const navigation = document.getElementById('contents');
  document.getElementById('about').replaceChildren(...prose(spec.info.description), ' ',
    element('a', { href: '/api/v1/openapi.json' }, 'The OpenAPI document.'));
  main.replaceChildren();
  for (const { name: tag, description } of spec.tags) {
    const ofTag = operations.filter((it) => it.tag === tag);
    navigation.append(...contents(tag, ofTag.map((it) => it.name), (name) => `#${name}`));
    main.append(element('h2', {}, tag), element('p', {}, description), ...ofTag.map((it) => it.section));
  }
  main.append(element('h2', { id: 'websocket' }, 'WebSocket'), table(['type', 'frame', 'reply', 'HTTP', 'errors'],
    spec['x-websocket'].operations.map((it) => [element('code', {}, it.name), typeName(it.frame), prose(it.reply), it.http ?? 'none', it.errors.join(', ')])));
  navigation.append(...contents('WebSocket', ['frames'], () => '#websocket'));
  const schemas = Object.entries(spec.components.schemas);
  navigation.append(...contents('schemas', schemas.map(([name]) => name), (name) => `#schema-${name}`));
  main.append(element('h2', {}, 'Schemas'), ...schemas.map(([name, schema]) => component(name, schema)));
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

render().catch((error) => {
  document.getElementById('operations').replaceChildren(`The document could not be rendered: ${error}`);
});
