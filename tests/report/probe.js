addEventListener("error", e => (window.wrong ??= []).push("error: " + e.message));
addEventListener("securitypolicyviolation", e => (window.wrong ??= []).push("request: " + e.blockedURI));
addEventListener("load", () => setTimeout(() => {
  const wrong = window.wrong ?? [], say = (...words) => wrong.push(words.join(" "));
  const figures = [...document.querySelectorAll("figure")];
  for (const figure of figures) {
    const svg = figure.querySelector("svg"), box = svg.getBoundingClientRect();
    if (box.width < 100 || box.height < 50) say(figure.id, "size", box.width, box.height);
    const texts = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
    for (const [word, t] of texts)
      if (t.left < box.left - 0.5 || t.right > box.right + 0.5 || t.top < box.top - 0.5 || t.bottom > box.bottom + 0.5) say(figure.id, "overflows:", word);
    for (let i = 0; i < texts.length; i++) for (let j = i + 1; j < texts.length; j++) {
      const [a, b] = [texts[i][1], texts[j][1]];
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4) say(figure.id, "overlap:", texts[i][0], "|", texts[j][0]);
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) say("page is wider than", innerWidth);
  for (const r of performance.getEntriesByType("resource")) if (!r.name.startsWith("data:")) say("request:", r.name);
  const svg = document.querySelector("#map-clusters svg"), data = JSON.parse(document.getElementById("data").textContent);
  const [xs, ys] = data.sets[data.figures["map-clusters"]], box = svg.getBoundingClientRect();
  svg.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + xs[0], clientY: box.top + ys[0] }));
  const tip = document.getElementById("tip");
  if (tip.hidden || !tip.textContent.startsWith("neuron 0 of <script>") || !tip.textContent.includes("cluster 0")) say("tip:", tip.textContent);
  const out = document.createElement("pre");
  out.id = "probe";
  out.textContent = ["figures " + figures.length + " at " + innerWidth, ...wrong].join("\n");
  parent.document.body.append(out);
}, 0));
