/// The script of sweep.html: shows the point that is pointed at, and finds the best one for a limit by the same rule as
/// `SweepLimit`.
enum SweepScript {
    static let text = """
        "use strict";
        (function () {
          const readout = document.getElementById("readout");
          const points = Array.from(document.querySelectorAll(".point"));
          for (const point of points) {
            const show = function () { readout.textContent = point.querySelector("title").textContent; };
            for (const event of ["mouseenter", "focus", "click"]) point.addEventListener(event, show);
          }
          const rows = Array.from(document.querySelectorAll("[data-row]"), function (cell) {
            const number = function (name) {
              return cell.dataset[name] === "" ? Infinity : Number(cell.dataset[name]);
            };
            return { index: cell.dataset.row, line: cell.closest("tr"), bytes: number("bytes"),
              perplexity: number("perplexity"), error: number("error"), outputs: number("outputs") };
          });
          const all = function (name) { return rows.every(function (row) { return Number.isFinite(row[name]); }); };
          const quality = all("perplexity") ? "perplexity" : all("outputs") ? "outputs" : "error";
          const form = document.getElementById("limits");
          const kind = document.getElementById("kind"), limit = document.getElementById("limit");
          const recommended = document.getElementById("recommended");
          const update = function () {
            const value = parseFloat(limit.value);
            if (!Number.isFinite(value)) return;
            const bound = kind.value === "bytes" ? value * 1e6 : value;
            const cost = kind.value === "bytes" ? quality : "bytes";
            const fitting = rows.filter(function (row) { return row[kind.value] <= bound; });
            fitting.sort(function (a, b) { return a[cost] - b[cost]; });
            const best = fitting[0];
            for (const row of rows) row.line.classList.toggle("marked", row === best);
            for (const point of points) {
              point.classList.toggle("chosen", best !== undefined && point.dataset.point === best.index);
            }
            recommended.textContent = "No result keeps to this limit.";
            const chosen = best && points.find(function (point) { return point.dataset.point === best.index; });
            if (chosen) {
              recommended.textContent = chosen.querySelector("title").textContent;
              if (readout) readout.textContent = recommended.textContent;
            } else if (best) {
              recommended.textContent = best.line.textContent;
            }
          };
          form.addEventListener("submit", function (event) { event.preventDefault(); });
          form.addEventListener("input", update);
        })();
        """
}
