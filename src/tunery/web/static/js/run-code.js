// A run's specification as YAML, as curl and as Python: exactly what the form sends.

const plain = /^[A-Za-z_][A-Za-z0-9_.-]*$/;
// Words that YAML reads as something other than text.
const special = /^(true|false|null|yes|no|on|off|y|n|~|\.nan|\.inf)$/i;

function scalar(value) {
  if (typeof value === "string" && plain.test(value) && !special.test(value)) return value;
  return JSON.stringify(value);
}

export function yaml(value, indent = "") {
  const lines = [];
  for (const [key, one] of Object.entries(value)) {
    if (Array.isArray(one)) {
      lines.push(`${indent}${key}:`);
      for (const item of one) {
        if (item !== null && typeof item === "object") lines.push(`${indent}  - ${yaml(item, `${indent}    `).trimStart()}`);
        else lines.push(`${indent}  - ${scalar(item)}`);
      }
    } else if (one !== null && typeof one === "object") lines.push(`${indent}${key}:`, yaml(one, `${indent}  `));
    else lines.push(`${indent}${key}: ${scalar(one)}`);
  }
  return lines.join("\n");
}

export function python(value, indent = "") {
  const inner = `${indent}    `;
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map((one) => python(one, indent)).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const pairs = Object.entries(value).map(([key, one]) => `${inner}${JSON.stringify(key)}: ${python(one, inner)},`);
  return `{\n${pairs.join("\n")}\n${indent}}`;
}

// One argument for a POSIX shell.
export const quoted = (text) => `'${text.replace(/'/g, "'\\''")}'`;

export function codeOf(spec, language, origin) {
  if (language === "yaml") return `# tunery runs create run.yaml\nschema_version: 1\n${yaml(spec)}\n`;
  if (language === "curl") {
    return `curl ${origin}/api/v1/runs \\\n  -H "Authorization: Bearer $TUNERY_TOKEN" \\\n  -H "Content-Type: application/json" \\\n  -d ${quoted(JSON.stringify(spec, null, 2))}\n`;
  }
  return `from tunery.sdk.client import Client\n\nwith Client("${origin}", token="tnr_…") as client:\n    run = client.runs.create(${python(spec, "    ")})\n    print(run.id)\n`;
}
