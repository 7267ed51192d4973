// A draft as a patch: what `git apply` and `patch -p1` read.

/** A file of a campaign, as it is and as the draft has it; null is a file that is not there. */
export interface FileEdit {
  /** From the repository's root: `campaigns/lunch/fi/helsinki.yaml`. */
  path: string;
  before: string | null;
  after: string | null;
}

const CONTEXT = 3;

/** The unified diff of all files that differ. */
export function patch(edits: FileEdit[]): string {
  return edits.filter(({ before, after }) => before !== after).map(one).join("");
}

function one({ path, before, after }: FileEdit): string {
  const head = `diff --git a/${path} b/${path}\n`;
  if (before === null) return `${head}new file mode 100644\n${after === "" ? "" : `--- /dev/null\n+++ b/${path}\n${hunks([], lines(after ?? ""))}`}`;
  if (after === null) return `${head}deleted file mode 100644\n${before === "" ? "" : `--- a/${path}\n+++ /dev/null\n${hunks(lines(before), [])}`}`;
  return `${head}--- a/${path}\n+++ b/${path}\n${hunks(lines(before), lines(after))}`;
}

/** Each with its newline, where it has one. */
const lines = (text: string) => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

type Line = { sign: " " | "-" | "+"; text: string };

function hunks(before: string[], after: string[]): string {
  const script = difference(before, after);
  const near = script.map(() => false);
  script.forEach(({ sign }, at) => {
    if (sign !== " ") for (let i = Math.max(0, at - CONTEXT); i <= Math.min(script.length - 1, at + CONTEXT); i++) near[i] = true;
  });
  let [out, from, to] = ["", 0, 0];
  for (let at = 0; at < script.length; ) {
    if (!near[at]) {
      [at, from, to] = [at + 1, from + 1, to + 1];
      continue;
    }
    let end = at;
    while (end < script.length && near[end]) end++;
    const hunk = script.slice(at, end);
    const [removed, added] = [hunk.filter(({ sign }) => sign !== "+").length, hunk.filter(({ sign }) => sign !== "-").length];
    const range = (start: number, n: number) => `${n === 0 ? start : start + 1}${n === 1 ? "" : `,${n}`}`;
    out += `@@ -${range(from, removed)} +${range(to, added)} @@\n`;
    for (const { sign, text } of hunk) out += sign + (text.endsWith("\n") ? text : `${text}\n\\ No newline at end of file\n`);
    [at, from, to] = [end, from + removed, to + added];
  }
  return out;
}

/** A shortest edit script, by the longest common subsequence; layers have hundreds of lines, not thousands. */
function difference(before: string[], after: string[]): Line[] {
  let [head, tail] = [0, 0];
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  while (tail < before.length - head && tail < after.length - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const [a, b] = [before.slice(head, before.length - tail), after.slice(head, after.length - tail)];
  const common = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
  }
  const middle: Line[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && a[i] === b[j]) [i, j] = (middle.push({ sign: " ", text: a[i] }), [i + 1, j + 1]);
    else if (i < a.length && (j === b.length || common[i + 1][j] >= common[i][j + 1])) middle.push({ sign: "-", text: a[i++] });
    else middle.push({ sign: "+", text: b[j++] });
  }
  const same = (texts: string[]): Line[] => texts.map((text) => ({ sign: " ", text }));
  return [...same(before.slice(0, head)), ...middle, ...same(before.slice(before.length - tail))];
}
