(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const tip = document.getElementById("tip");
  const words = n => {
    const lines = ["neuron " + data.neuron[n] + (data.names.length > 1 ? " of " + data.names[data.recording[n]] : "")];
    for (const [name, values] of data.columns) if (values[n] !== null) lines.push(name + " " + values[n]);
    return lines.join("\n");
  };
  for (const [id, set] of Object.entries(data.figures)) {
    const svg = document.querySelector("#" + CSS.escape(id) + " svg");
    const [xs, ys, who, reach] = data.sets[set];
    if (!svg) continue;
    const move = event => {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
      let best = -1, least = Infinity;
      for (let i = 0; i < xs.length; i++) {
        const d = Math.max(Math.abs(xs[i] - x), Math.abs(ys[i] - y));
        if (d < least) { least = d; best = i; }
      }
      if (best < 0 || least > reach) { tip.hidden = true; return; }
      tip.textContent = words(who === null ? best : who[best]);
      tip.hidden = false;
      tip.style.left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 4) + "px";
      tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 4) + "px";
    };
    svg.addEventListener("pointermove", move);
    svg.addEventListener("pointerdown", move);
    svg.addEventListener("pointerleave", () => { tip.hidden = true; });
  }
})();
