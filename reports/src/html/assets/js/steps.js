// What was compared, step by step.

/** The verdicts from the one that matters most to the one that matters least. */
const BY_WEIGHT = ["crash", "timeout", "error", "fail", "suspect", "fixed", "vacuous", "known", "pass", "unsupported"];

/** The verdict on a step: that of what matters most in it. */
function verdictOfStep(step) {
  const verdicts = (step.tensors ?? []).map((tensor) => tensor.verdict ?? "pass");
  if (step.error) verdicts.push(step.error.verdict);
  return BY_WEIGHT.find((verdict) => verdicts.includes(verdict)) ?? "pass";
}

/** The steps of a result as a timeline. `pictureOf` gives the picture of a tensor, and `missing` says in words why there is none. */
function timeline(result, pictureOf, missing) {
  return h("ol", {class: "steps"}, result.steps.map((step) => {
    const verdict = verdictOfStep(step);
    return h("li", {"data-step": step.step, "data-verdict": verdict},
      h("span", {class: `dot verdict ${verdict}`, "aria-hidden": "true"}, glyphOf(verdict)),
      h("h3", null, `Step ${step.step}: ${step.action}`, verdictMark(verdict), shareText(step, result.isBrief)),
      step.error && errorText(step.error),
      step.tensors && h("ul", {class: "tensors"}, step.tensors.map((tensor, place) => tensorItem(step, tensor, place, pictureOf, missing))));
  }));
}

/** The largest share of the budget that a step uses. */
function shareText(step, isBrief) {
  const shares = (step.tensors ?? []).map((tensor) => tensor.budget_used).filter((used) => used !== undefined);
  const largest = isBrief ? step.share : shares.length > 0 ? Math.max(...shares) : null;
  if (largest === null || largest === undefined) return null;
  const text = !isBrief || largest === 0 || largest === 1 ? budgetUsed(largest) : `about ${Number(largest.toPrecision(2))}`;
  return h("span", {class: "used"}, `budget used ${text}`);
}

/** An error that was expected, raised, or both. */
function errorText({verdict, expected, got}) {
  const raised = ({class: name, message}) => [h("code", null, name), h("pre", {class: "wrap"}, message)];
  const said = expected && got ? "Raises an error, as it should."
    : expected ? "Accepts what PyTorch rejects." : "Raises an error where PyTorch raises none.";
  return h("div", {class: "error", "data-verdict": verdict},
    h("p", null, verdictMark(verdict), " ", said),
    h("div", {class: "columns"},
      h("div", null, h("strong", null, "expected "), expected ? raised(expected) : "no error"),
      h("div", null, h("strong", null, "got "), got ? raised(got) : "no error")));
}

function tensorItem(step, tensor, place, pictureOf, missing) {
  const verdict = tensor.verdict ?? "pass";
  const data = {"data-tensor": tensor.tensor, "data-verdict": verdict};
  // What the backend does not have is no difference.
  const isWide = !["pass", "unsupported"].includes(verdict) || tensor.worst;
  const used = tensor.budget_used === undefined ? null : h("span", {class: "of"}, ` ${budgetUsed(tensor.budget_used)}`);
  if (!isWide) {
    const note = tensor.note ?? (tensor.total === 0 ? "no elements" : null);
    return h("li", data, verdictMark(verdict, tensor.tensor), h("span", {class: "unseen"}, ` ${verdict}`), used, note && h("span", {class: "note-text"}, ` (${note})`));
  }
  const outside = tensor.mismatched ? `${thousands(tensor.mismatched)} of ${counted(tensor.total, "element")} outside the budget` : null;
  const figures = [outside, tensor.budget_used !== undefined && `budget used ${budgetUsed(tensor.budget_used)}`].filter(Boolean).join(", ");
  return h("li", {...data, class: `wide ${verdict}`},
    h("p", null, verdictMark(verdict), " ", h("strong", null, tensor.tensor), figures && ` – ${figures}`),
    tensor.note && h("p", {class: "lines"}, tensor.note),
    drawing(step, tensor, place, verdict, pictureOf, missing));
}

/** The drawing of a tensor that differs; without one, its worst element and why there is none. */
function drawing(step, tensor, place, verdict, pictureOf, missing) {
  const picture = tensor.drawn ? pictureOf(step.step, place) : undefined;
  if (picture) {
    return drawPicture(picture, {verdict, budget_used: tensor.budget_used ?? null, mismatched: tensor.mismatched ?? 0, total: tensor.total});
  }
  return [tensor.worst && worstTable(tensor.worst), tensor.worst && h("p", {class: "small"}, tensor.drawn ? missing.leftOut : missing.never)];
}

/** The worst element, with both values. */
function worstTable(worst) {
  const row = (side, {decimal, bits}) => h("tr", null, h("th", {scope: "row"}, side), h("td", null, decimal), h("td", null, bits));
  const apart = typeof worst.ulps === "number" ? `${thousands(worst.ulps)} ulp apart` : "not the same kind of number";
  const allowed = worst.budget === 0 ? ", must be exact" : typeof worst.budget === "number" ? `, allowed ± ${scientific(worst.budget, 3)}` : "";
  const where = worst.index.length === 0 ? "Its only element" : `Worst at [${worst.index.join(", ")}]`;
  return h("table", {class: "values"}, h("caption", {class: "small"}, `${where}: ${apart}${allowed}`),
    h("thead", null, h("tr", null, h("td", null), h("th", {scope: "col"}, "decimal"), h("th", {scope: "col"}, "bits"))),
    h("tbody", null, row("expected", worst.expected), row("got", worst.got)));
}
