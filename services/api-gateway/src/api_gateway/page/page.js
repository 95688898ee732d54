"use strict";

// Shows openapi.json and asyncapi.json. Everything is text: nothing from a document becomes HTML.

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function words(text) {
  const pieces = (text || "").split(/(``?[^`]+``?)/);
  return pieces.map((piece) =>
    piece.startsWith("`") ? make("code", {}, piece.replaceAll("`", "")) : piece,
  );
}

function resolve(whole, reference) {
  return reference.slice(2).split("/").reduce(
    (found, part) => found[part.replaceAll("~1", "/").replaceAll("~0", "~")], whole);
}

function nameOf(schema) {
  return schema.$ref ? schema.$ref.split("/").pop() : "";
}

function typeOf(schema) {
  if (schema.$ref) return nameOf(schema);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.allOf) return typeOf(schema.allOf[0]);
  if (schema.contentSchema) return typeOf(schema.contentSchema);
  const options = schema.anyOf || schema.oneOf;
  if (options) return options.map(typeOf).join(" | ");
  if (schema.type === "array") return `[${typeOf(schema.items || {})}]`;
  if (schema.type === "object" && schema.additionalProperties) {
    return `{…: ${typeOf(schema.additionalProperties)}}`;
  }
  const type = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type;
  return schema.format || schema.contentEncoding || type || "any";
}

function limits(schema) {
  const own = [schema, ...(schema.anyOf || [])];
  const said = (name, text) => own.filter((s) => name in s).map((s) => `${text}${s[name]}`);
  return [
    ...said("minimum", "≥ "), ...said("maximum", "≤ "), ...said("maxLength", "length ≤ "),
    ...said("default", "default ").filter((text) => text !== "default "),
  ].join(", ");
}

function structsIn(whole, schema, found = []) {
  if (schema.$ref) {
    const target = resolve(whole, schema.$ref);
    if (target.properties || target.enum) found.push([nameOf(schema), target]);
  }
  for (const option of [...(schema.anyOf || []), ...(schema.oneOf || []), ...(schema.allOf || [])]) {
    structsIn(whole, option, found);
  }
  for (const inner of [schema.items, schema.contentSchema]) {
    if (inner) structsIn(whole, inner, found);
  }
  if (typeof schema.additionalProperties === "object") {
    structsIn(whole, schema.additionalProperties, found);
  }
  return found;
}

// A struct's fields; what they consist of is made when somebody opens it, so circles do no harm.
function fields(whole, struct) {
  if (struct.enum) return make("p", { class: "type" }, typeOf(struct));
  const required = struct.required || [];
  const rows = Object.entries(struct.properties || {}).map(([name, schema]) =>
    make("li", {},
      make("code", {}, name), required.includes(name) ? make("span", { class: "must" }, " *") : null,
      make("span", { class: "type" }, ` ${typeOf(schema)} ${limits(schema)} `),
      ...words(schema.description),
      ...opened(whole, schema)));
  return make("ul", { class: "fields" }, ...rows);
}

function opened(whole, schema) {
  return structsIn(whole, schema).map(([name, struct]) => {
    const more = make("details", { class: "more" }, make("summary", {}, name));
    more.addEventListener("toggle", () => {
      if (more.childElementCount > 1) return;
      if (struct.description) more.append(make("p", { class: "what" }, ...words(struct.description)));
      more.append(fields(whole, struct));
    }, { once: false });
    return more;
  });
}

function shape(whole, title, schema) {
  const inner = (schema.anyOf || [schema]).flatMap((option) => {
    if (nameOf(option) === "FailureEnvelope") return [];
    const body = option.properties && option.properties.body;
    return [body || option];
  });
  const about = inner.map(typeOf).join(" | ");
  return [make("h4", {}, title), make("code", {}, about), ...inner.flatMap((s) => opened(whole, s))];
}

function table(title, rows) {
  return rows.length ? [make("h4", {}, title), make("table", {}, ...rows)] : [];
}

function row(name, must, type, ...text) {
  return make("tr", {},
    make("td", {}, make("code", {}, name), must ? make("span", { class: "must" }, " *") : null),
    make("td", {}, make("span", { class: "type" }, `${type} `), ...text));
}

function entry(identity, badge, badgeText, path, summary, fill) {
  const inside = make("div");
  const details = make("details", { class: "call", id: identity },
    make("summary", {},
      make("span", { class: `verb ${badge}` }, badgeText),
      make("code", { class: "path" }, path),
      make("span", { class: "what" }, ...words(summary))),
    inside);
  details.dataset.words = `${path} ${summary}`.toLowerCase();
  details.addEventListener("toggle", () => {
    if (details.open && !inside.childElementCount) inside.append(...fill());
  });
  return details;
}

function call(whole, path, verb, said) {
  return entry(said.operationId, verb, verb.toUpperCase(), path, said.summary, () => {
    const body = said.requestBody && Object.values(said.requestBody.content)[0].schema;
    const roles = (said.security || []).flatMap((way) => Object.values(way).flat());
    const parameters = said.parameters.map((one) =>
      row(one.name, one.required, `${one.in}, ${typeOf(one.schema)} ${limits(one.schema)}`,
        ...words(one.description)));
    const responses = Object.entries(said.responses).map(([code, answer]) => {
      const known = answer.$ref ? resolve(whole, answer.$ref) : answer;
      return row(code, false, Object.keys(known.content || {}).join(", "),
        ...words(known.description));
    });
    const success = Object.values(said.responses["200"].content)[0].schema;
    return [
      said.description ? make("p", {}, ...words(said.description)) : null,
      roles.length ? make("p", {}, "Permission: ", make("code", {}, roles[0])) : null,
      ...table("Parameters", parameters),
      ...(body ? shape(whole, "Body", body) : []),
      ...(success ? shape(whole, "Answer", success) : []),
      ...table("Statuses", responses),
    ].filter((part) => part !== null);
  });
}

function chapter(main, contents, name, text, entries) {
  const identity = `chapter-${name.toLowerCase().replaceAll(" ", "-")}`;
  contents.append(make("a", { href: `#${identity}` }, name));
  main.append(make("section", {},
    make("h2", { id: identity }, name), make("p", {}, ...words(text)), ...entries));
}

function showCalls(main, contents, whole) {
  document.getElementById("version").textContent = whole.info.version;
  main.replaceChildren(...whole.info.description.split("\n").map((line) => make("p", {}, ...words(line))));
  contents.append(make("h2", {}, "Calls"));
  for (const tag of whole.tags) {
    const calls = Object.entries(whole.paths).flatMap(([path, verbs]) =>
      Object.entries(verbs)
        .filter(([, said]) => said.tags.includes(tag.name))
        .map(([verb, said]) => call(whole, path, verb, said)));
    chapter(main, contents, tag.name, tag.description, calls);
  }
}

function showMessages(main, contents, whole) {
  contents.append(make("h2", {}, "Messages"));
  const chapters = { Bus: ["What services tell each other.", []], Receivers: ["What webhooks get.", []] };
  for (const [identity, message] of Object.entries(whole.components.messages)) {
    const isEvent = "x-event" in message;
    const parties = ["x-says", "x-hears"].map((role) => (message[role] || []).join(", ") || "—");
    chapters[isEvent ? "Receivers" : "Bus"][1].push(
      entry(`message-${identity}`, isEvent ? "event" : "says", isEvent ? "EVENT" : "MSG",
        message.name, message.summary, () => [
          isEvent ? null : make("p", {}, `${parties[0]} → ${parties[1]}`),
          ...(message.headers ? shape(whole, "Headers", message.headers) : []),
          ...shape(whole, "Payload", message.payload),
        ].filter((part) => part !== null)));
  }
  for (const [name, [text, entries]] of Object.entries(chapters)) {
    chapter(main, contents, name, text, entries);
  }
}

function search(event) {
  const wanted = event.target.value.trim().toLowerCase();
  for (const found of document.querySelectorAll("details.call")) {
    found.classList.toggle("hidden", !found.dataset.words.includes(wanted));
  }
  for (const section of document.querySelectorAll("main section")) {
    section.classList.toggle("hidden", !section.querySelector("details.call:not(.hidden)"));
  }
}

async function load(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: HTTP ${answer.status}`);
  return answer.json();
}

async function show() {
  const main = document.getElementById("main");
  const contents = document.getElementById("contents");
  try {
    const [calls, messages] = await Promise.all([load("openapi.json"), load("asyncapi.json")]);
    showCalls(main, contents, calls);
    showMessages(main, contents, messages);
    document.getElementById("search").addEventListener("input", search);
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target) {
      target.open = true;
      target.scrollIntoView();
    }
  } catch (error) {
    main.replaceChildren(make("p", {}, `The documents cannot be shown: ${error.message}`));
  }
}

show();
