"use strict";

// One group of clusters at a time: what is shown comes from `state.next`, whose pictures are
// fetched and decoded before they are needed. An answer is sent, and the next group is shown when
// the server says that the answer is on the disk.

const base = location.pathname;
const el = (id) => document.getElementById(id);
let state = JSON.parse(el("state").textContent);
let shown = null; // the entry on the screen
let busy = false;

// ---------------------------------------------------------------- words

const whole = new Intl.NumberFormat("en");
const count = (number, thing) => `${whole.format(number)} ${thing}${number === 1 ? "" : "s"}`;
const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.0995 ? 1 : 0)}\u00a0%`;

function make(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(options)) {
    if (key === "class") made.className = value;
    else if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function tell(text, fault = false) {
  el("told").textContent = text;
  el("told").classList.toggle("fault", fault);
}

// ---------------------------------------------------------------- pictures

const pictures = new Map(); // key of a group → promise of its decoded picture
const MOST_PICTURES = 40;

function picture(key) {
  if (!pictures.has(key)) {
    const image = new Image();
    image.src = `${base}faces/${key}.png`;
    const decoded = image.decode().then(() => image);
    decoded.catch(() => pictures.delete(key));
    pictures.set(key, decoded);
    if (pictures.size > MOST_PICTURES) pictures.delete(pictures.keys().next().value);
  }
  return pictures.get(key);
}

async function fetchAhead() {
  // One after another, the next group first, its neighbours with it.
  for (const entry of state.next) {
    for (const key of [entry.key, ...entry.neighbours.map((one) => one.key)]) {
      await picture(key).catch(() => null);
    }
  }
}

function draw(canvas, image, number, entry) {
  const { side, columns } = entry;
  canvas.width = canvas.height = side;
  const x = (number % columns) * side;
  const y = Math.floor(number / columns) * side;
  canvas.getContext("2d").drawImage(image, x, y, side, side, 0, 0, side, side);
}

function tiles(image, entry, first, faces) {
  return faces.map(([row, copies], number) => {
    const canvas = make("canvas", { role: "img", "aria-label": `face of row ${row}`, "data-row": String(row) });
    draw(canvas, image, first + number, entry);
    const tile = make("div", { class: "tile", title: `row ${row}` }, canvas);
    if (copies > 1) {
      canvas.dataset.copies = copies;
      tile.append(make("span", { class: "copies" }, `×${copies}`));
    }
    return tile;
  });
}

// ---------------------------------------------------------------- showing a group

function lose(why) {
  // Not to answer again for the faces that are still on the screen.
  shown = null;
  el("group").hidden = el("done").hidden = true;
  showProgress();
  tell(why, true);
}

async function show(entry) {
  if (!entry) return finish();
  let image;
  try {
    image = await picture(entry.key);
  } catch {
    return lose("The faces could not be fetched. Reload the page; if the server has ended, start daskfer name again: every answer so far is saved.");
  }
  shown = entry;
  el("done").hidden = true;
  el("group").hidden = false;
  showFaces(entry, image);
  showNeighbours(entry);
  showAnswers(entry);
  showDifference(entry, image);
  showProgress();
  el("group").dataset.group = entry.key;
  fetchAhead();
}

function showFaces(entry, image) {
  const clusters = entry.clusters.length > 1 ? `Clusters ${entry.clusters.join(" + ")}` : `Cluster ${entry.number}`;
  el("heading").textContent = `${clusters} · ${count(entry.faces, "face")} (${percent(entry.share)})`;
  const already = el("answered-already");
  already.hidden = !entry.said && !entry.skipped;
  already.textContent = entry.said ? `Answered already: ${entry.said.name ?? "mixed"}. Another answer replaces it, Skip leaves it.` : "Skipped before.";
  let first = 0;
  for (const part of ["nearest", "diverse", "borderline"]) {
    const strip = document.querySelector(`.strip[data-part=${part}]`);
    strip.hidden = entry[part].length === 0;
    strip.querySelector(".tiles").replaceChildren(...tiles(image, entry, first, entry[part]));
    first += entry[part].length;
  }
}

function showNeighbours(entry) {
  const made = entry.neighbours.map((one, number) => {
    const said = one.said ? `, ${one.said.name ?? "mixed"}` : "";
    const merge = make("button", { type: "button" }, number === 0 ? "Merge (M)" : "Merge");
    merge.setAttribute("aria-label", `Merge with cluster ${one.number}`);
    merge.addEventListener("click", () => answer({ do: "merge", group: entry.key, with: one.key }));
    const head = make("div", { class: "head" }, make("h3", {}, `Neighbour ${one.number}${said}`), merge);
    const strip = make("div", { class: "tiles", "aria-hidden": "true" });
    for (let face = 0; face < one.shown; face += 1) strip.append(make("div", { class: "tile" }, make("canvas")));
    // The sheet does not wait for its neighbours.
    picture(one.key).then((image) => {
      strip.querySelectorAll("canvas").forEach((canvas, face) => draw(canvas, image, face, entry));
    }, () => null);
    return make("div", { class: "neighbour" }, head, strip);
  });
  el("neighbours").replaceChildren(...made);
}

function showAnswers(entry) {
  const place = el("suggestion");
  const buttons = () => [...place.querySelectorAll("button"), ...el("names").querySelectorAll("button")];
  const focused = document.activeElement;
  const kept = (button) => (focused.id ? button.id === focused.id : button.dataset.name === focused.dataset.name);
  const inside = buttons().includes(focused);
  if (entry.suggestion) {
    const accept = make("button", { type: "button", "aria-keyshortcuts": "Enter", id: "accept" }, make("kbd", {}, "Enter"), make("strong", {}, entry.suggestion.name));
    accept.addEventListener("click", acceptSuggestion);
    place.replaceChildren(make("span", {}, "Suggested"), accept, make("small", {}, entry.suggestion.why));
  } else {
    place.replaceChildren(make("span", {}, "No suggestion"), make("small", {}, entry.measured ? "action units tell no emotion clearly" : "it comes when neighbours have names"));
  }
  const made = state.choices.map((name, number) => {
    const key = number < 9 ? String(number + 1) : number === 9 ? "0" : "";
    const button = make("button", { type: "button", "data-name": name });
    if (key) {
      button.setAttribute("aria-keyshortcuts", key);
      button.append(make("kbd", {}, key));
    } else {
      button.append(make("span", {}));
    }
    const faces = state.progress.by_name[name] || 0;
    button.append(make("span", { class: "name" }, name), make("span", { class: "faces-of" }, faces ? whole.format(faces) : ""));
    if (faces) button.setAttribute("aria-label", `${name}, ${count(faces, "face")} so far`);
    button.classList.toggle("suggested", entry.suggestion?.name === name);
    button.addEventListener("click", () => nameIt(name));
    return button;
  });
  el("names").replaceChildren(...made);
  // Who goes by Tab stays at the button, though it is made anew.
  if (inside) buttons().find(kept)?.focus();
  document.querySelector("[data-do=merge]").disabled = entry.neighbours.length === 0;
  document.querySelector("[data-do=split]").disabled = entry.faces < 2;
}

function showDifference(entry, image) {
  const first = entry.nearest.length + entry.diverse.length + entry.borderline.length;
  for (const [id, number, label] of [["mean", first, "mean of these faces"], ["apart", first + 1, "its difference from the mean of all faces"]]) {
    const canvas = el(id);
    draw(canvas, image, number, entry);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
  }
  const most = 2;
  el("units").replaceChildren(...entry.units.map(([name, value]) => {
    const bar = make("i", { class: value < 0 ? "less" : "more" });
    const length = Math.min(Math.abs(value) / most, 1) * 50;
    bar.style.width = `${length}%`;
    bar.style.left = value < 0 ? `${50 - length}%` : "50%";
    const text = `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
    return make("li", {}, make("span", {}, name), make("span", { class: "track", "aria-hidden": "true" }, bar), make("span", { class: "value" }, text));
  }));
}

function showProgress() {
  const { progress } = state;
  el("bar").value = progress.covered / progress.faces;
  const parts = [
    `${whole.format(progress.answered)} of ${count(progress.groups, "cluster")} answered`,
    `${percent(progress.covered / progress.faces)} of the faces named`,
  ];
  if (state.left) parts.push(`this look is worth about ${percent(shown ? shown.gain : progress.gain)} of them, all that are left ${percent(progress.rest)}`);
  if (progress.accuracy) parts.push(accuracyText(progress.accuracy));
  el("progress-text").textContent = `${parts.join(" · ")}.`;
  el("accuracy").hidden = !progress.labels;
  document.querySelector("[data-do=undo]").disabled = el("done-undo").disabled = !state.undo;
  el("undo-what").textContent = state.undo || "";
  const list = el("answered");
  list.hidden = state.answered.length === 0;
  list.querySelector("summary").textContent = `${whole.format(state.answered.length)} answered`;
  showAnswered();
}

function showAnswered() {
  // Hundreds of buttons that nobody sees would cost each answer some milliseconds.
  if (!el("answered").open) return;
  el("answered").querySelector(".list").replaceChildren(...state.answered.map((one) => {
    const button = make("button", { type: "button" }, `${one.number} ${one.name ?? "(mixed)"}`);
    button.title = `${count(one.faces, "face")}, by ${one.by}`;
    button.addEventListener("click", () => lookAgain(one.key));
    return button;
  }));
}

function accuracyText(found) {
  if (found.why) return `accuracy so far: ${found.why}`;
  return `accuracy so far ${percent(found.share)} of ${count(found.faces, "named face")} (one name for all: ${percent(found.chance)})`;
}

function finish() {
  shown = null;
  el("group").hidden = true;
  el("done").hidden = false;
  el("done-names").replaceChildren(...Object.entries(state.progress.by_name).map(([name, faces]) =>
    make("tr", {}, make("td", {}, name), make("td", { class: "num" }, whole.format(faces)))));
  showProgress();
  el("group").dataset.group = "";
}

// ---------------------------------------------------------------- answering

async function request(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(base + path, options);
  return [response, await response.json()];
}

const refusal = (response, data) => response.status === 403 ? "The server of this page has ended; open the address that daskfer name tells now" : data.error;

async function answer(body) {
  if (busy) return;
  busy = true;
  try {
    const [response, data] = await request("answer", { ...body, version: state.version });
    if (response.ok) {
      state = data;
      tell(answeredText(body));
      await show(state.next[0]);
    } else if (data.state) {
      state = data.state;
      await show(state.next[0]);
      tell(`Nothing was written: ${data.error}. This is how it stands now.`, true);
    } else if (data.written) {
      lose(`The answer is written, but what comes next cannot be shown: ${data.error}. Start daskfer name again.`);
    } else {
      tell(`Nothing was written: ${refusal(response, data)}.`, true);
    }
  } catch {
    // It may have ended after it wrote, before it said so.
    tell("The server does not answer, so whether this answer was written is not known; every one before is. Start daskfer name again.", true);
  } finally {
    busy = false;
  }
}

function answeredText(body) {
  const number = shown ? `Cluster ${shown.number}` : "";
  const texts = { name: `${number}: ${body.name}.`, mixed: `${number}: mixed.`, skip: `${number} was skipped; it comes again at the end.`, split: shown?.clusters.length > 1 ? "What was merged came apart." : `${number} was split; this is the larger half.`, merge: state.next[0] && state.next[0].clusters.length > 1 ? "Merged; name both now." : "Merged, with the neighbour's name.", undo: "Undone.", categories: "The names are changed.", labels: "" };
  return texts[body.do];
}

const nameIt = (name) => shown && answer({ do: "name", group: shown.key, name });
const acceptSuggestion = () => shown?.suggestion && nameIt(shown.suggestion.name);

function act(what) {
  if (what === "undo") return state.undo ? answer({ do: "undo" }) : tell("There is nothing to undo.");
  if (!shown) return undefined;
  if (what === "skip" && shown.said) return leave();
  if (what === "merge") {
    const [other] = shown.neighbours;
    return other ? answer({ do: "merge", group: shown.key, with: other.key }) : tell("There is no other cluster to merge with.");
  }
  return answer({ do: what, group: shown.key });
}

async function leave() {
  if (busy) return;
  busy = true;
  const text = `Cluster ${shown.number} keeps its answer.`;
  await show(state.next[0]);
  tell(text);
  busy = false;
}

async function lookAgain(key) {
  if (busy) return;
  busy = true;
  try {
    const [response, data] = await request(`look/${key}`);
    if (response.ok) await show(data);
    else tell(data.error, true);
    window.scrollTo(0, 0);
  } catch {
    tell("The server does not answer.", true);
  } finally {
    busy = false;
  }
}

// ---------------------------------------------------------------- names, training, help

function openNames() {
  el("names-text").value = state.choices.join("\n");
  el("names-fault").textContent = "";
  el("names-dialog").showModal();
}

async function saveNames() {
  const names = el("names-text").value.split("\n").map((name) => name.trim()).filter(Boolean);
  try {
    const [response, data] = await request("answer", { do: "categories", names });
    if (!response.ok) {
      el("names-fault").textContent = refusal(response, data);
      return;
    }
    state = data;
    el("names-dialog").close();
    const again = shown && state.next.find((entry) => entry.key === shown.key);
    await show(again || state.next[0]);
    tell("The names are changed.");
  } catch {
    el("names-fault").textContent = "The server does not answer.";
  }
}

let watching = false;

function showTraining(training) {
  const place = el("train-text");
  if (training.error) return place.replaceChildren(make("p", { class: "fault" }, `${training.error}.`));
  el("train-start").disabled = training.state === "running";
  el("train-start").textContent = training.state === "done" ? "Train again" : "Train on the names so far";
  const named = state.progress.covered > 0;
  if (training.state === "none") {
    place.replaceChildren(make("p", {}, named ? `It learns from ${count(state.progress.covered, "named face")}, and labels all others. That takes a while; you can go on naming meanwhile.` : "Name some clusters first, and it learns from these; it learns too from names that the run itself told without labels."));
  } else if (training.state === "running") {
    place.replaceChildren(make("p", {}, `At work: ${training.stage}. You can go on naming meanwhile.`));
  } else if (training.state === "failed") {
    place.replaceChildren(make("p", { class: "fault" }, `It failed: ${training.why}.`));
  } else {
    place.replaceChildren(...trainingDone(training));
  }
}

function trainingDone(training) {
  const found = training.figures;
  const rows = [
    ["Accuracy on test faces", found.test_accuracy, found.chance_accuracy],
    ["Balanced accuracy", found.test_balanced_accuracy, found.balanced_chance_accuracy],
  ].filter(([, value]) => value !== null && value !== undefined);
  const made = [make("p", {}, `Trained on ${count(found.rows || 0, "face")} after ${count(training.naming?.looks || 0, "look")}.`)];
  if (rows.length) {
    const body = make("tbody", {}, ...rows.map(([name, value, chance]) =>
      make("tr", {}, make("th", { scope: "row" }, name), make("td", { class: "num" }, percent(value)), make("td", { class: "num soft" }, chance === null ? "" : percent(chance)))));
    const head = make("thead", {}, make("tr", {}, make("td", {}), make("th", { scope: "col", class: "num" }, "found"), make("th", { scope: "col", class: "num" }, "chance")));
    made.push(make("table", { id: "figures" }, head, body));
  }
  for (const note of training.notes) made.push(make("p", { class: "soft" }, `Note: ${note}`));
  made.push(make("p", {}, make("a", { href: "report", target: "_blank", rel: "noopener" }, "Open the report")));
  return made;
}

async function watchTraining() {
  if (watching) return;
  watching = true;
  try {
    for (;;) {
      const [response, training] = await request("train");
      if (!response.ok) training.error = refusal(response, training);
      showTraining(training);
      if (training.state !== "running") break;
      await new Promise((wake) => setTimeout(wake, 500));
    }
  } catch {
    el("train-text").replaceChildren(make("p", { class: "fault" }, "The server does not answer."));
  } finally {
    watching = false;
  }
}

async function openTraining() {
  if (!el("train-dialog").open) el("train-dialog").showModal();
  await watchTraining();
}

async function startTraining() {
  try {
    const [response, training] = await request("train", {});
    if (!response.ok) {
      showTraining({ error: refusal(response, training) });
      return;
    }
    showTraining(training);
  } catch {
    el("train-text").replaceChildren(make("p", { class: "fault" }, "The server does not answer."));
  }
  await watchTraining();
}

// ---------------------------------------------------------------- keys, buttons, other tabs

const KEYS = { x: "mixed", s: "split", m: "merge", u: "undo", " ": "skip" };

// On a keyboard of other letters, the key in the place of the letter counts.
function keyOf(event) {
  if (/^[\x20-\x7e]$/.test(event.key) || !/^Key[A-Z]$/.test(event.code)) return event.key.toLowerCase();
  return event.code.slice(3).toLowerCase();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]") || event.target.closest("textarea, input")) return;
  const onButton = event.target.closest("button, summary, a");
  const key = keyOf(event);
  if (onButton && (key === "enter" || key === " ")) {
    // A key that is held presses once.
    if (event.repeat) event.preventDefault();
    return;
  }
  const number = /^[0-9]$/.test(key) ? (Number(key) + 9) % 10 : -1;
  let does = null;
  if (number >= 0 && number < state.choices.length) does = () => nameIt(state.choices[number]);
  else if (key === "enter") does = acceptSuggestion;
  else if (Object.hasOwn(KEYS, key)) does = () => act(KEYS[key]);
  else if (key === "?") does = () => el("help").showModal();
  else if (key === "n") does = openNames;
  else if (key === "t") does = openTraining;
  if (!does) return;
  event.preventDefault();
  if (!event.repeat) does();
});

for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", () => act(button.dataset.do));
}
document.addEventListener("click", (event) => {
  // A button pressed with the mouse must not take Enter and Space for itself afterwards; nor may
  // a dialog that it opens give them back to it.
  if (event.detail > 0) event.target.closest("button, summary")?.blur();
}, true);
document.addEventListener("click", (event) => {
  const tile = event.target.closest(".tile");
  for (const other of document.querySelectorAll(".tile.big")) if (other !== tile) other.classList.remove("big");
  if (tile) {
    const { left, right } = tile.getBoundingClientRect();
    const middle = (left + right) / 2 / document.documentElement.clientWidth;
    tile.style.setProperty("--from", middle < 0.3 ? "left" : middle > 0.7 ? "right" : "center");
    tile.classList.toggle("big");
  }
});
for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
el("open-help").addEventListener("click", () => el("help").showModal());
el("open-names").addEventListener("click", openNames);
el("names-save").addEventListener("click", saveNames);
el("open-train").addEventListener("click", openTraining);
el("done-train").addEventListener("click", openTraining);
el("done-undo").addEventListener("click", () => act("undo"));
el("train-start").addEventListener("click", startTraining);
el("answered").addEventListener("toggle", showAnswered);
el("accuracy").addEventListener("click", () => answer({ do: "labels" }));

// Another tab, or a file of names, may have answered meanwhile.
document.addEventListener("visibilitychange", async () => {
  if (document.hidden || busy) return;
  try {
    const [response, data] = await request("state");
    if (response.ok && data.version !== state.version) {
      state = data;
      await show(state.next[0]);
    } else if (!response.ok) {
      tell(`${refusal(response, data)}.`, true);
    }
  } catch {
    tell("The server does not answer. Start daskfer name again: every answer is saved.", true);
  }
});

show(state.next[0]);
