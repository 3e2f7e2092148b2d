/// What the pages of all reports have in common: nothing from elsewhere, readable on a phone and in
/// the dark.
enum Page {
    /// - Parameter body: HTML.
    static func html(title: String, body: String) -> String {
        """
        <!doctype html><html lang="en"><head><meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark"><title>\(escaped(title))</title>
        <style>\(style)</style></head><body><main>
        <h1>\(escaped(title))</h1>
        \(body)
        </main></body></html>

        """
    }

    private static let style = """
        :root{--bg:#fff;--fg:#1c1e21;--dim:#5f6670;--line:#d8dce2;--good:#1a7f37;--bad:#c01c28;\
        --c0:#0b6bcb;--c1:#c2410c;--c2:#15803d;--c3:#9333ea}\
        @media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e6e8eb;--dim:#9aa3ad;\
        --line:#343a41;\
        --good:#4ade80;--bad:#ff7b82;--c0:#60a5fa;--c1:#fb923c;--c2:#4ade80;--c3:#c084fc}}\
        *{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);\
        font:16px/1.5 system-ui,sans-serif}main{max-width:70rem;margin:auto;padding:1rem}\
        h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.1rem}p{overflow-wrap:anywhere}\
        .good{color:var(--good)}.bad{color:var(--bad);font-weight:600}.scroll{overflow-x:auto}\
        table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
        th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right;\
        white-space:nowrap}\
        th[scope=row],th:first-child{text-align:left;font-weight:400;color:var(--dim);\
        white-space:normal;min-width:7rem}.narrow th:first-child{min-width:0}\
        .narrow td:last-child,.narrow th:last-child{text-align:left;white-space:normal;\
        min-width:9rem}@media(max-width:40rem){th,td{padding:.2rem .35rem;\
        font-size:.9rem}}\
        .charts{display:grid;gap:1rem;\
        grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr))}\
        pre{background:color-mix(in srgb,var(--dim) 12%,transparent);padding:.6rem .8rem;\
        border-radius:4px;overflow-x:auto}dt{font-weight:600;margin-top:.5rem}\
        dd{margin:0;color:var(--dim);overflow-wrap:anywhere}\
        figure{margin:1rem 0 0}figcaption{font-weight:600}svg{width:100%;height:auto;display:block}\
        svg text{fill:var(--dim);font-size:12px}.grid{stroke:var(--line);stroke-width:1}\
        .phase{stroke:var(--dim);stroke-dasharray:3 3}.span{stroke:var(--c0);stroke-width:5;\
        opacity:.35}path{fill:none;stroke-width:2}\
        .s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}\
        i{display:inline-block;width:.8em;height:.8em;margin-right:.35em;border-radius:2px}\
        .k0{background:var(--c0)}.k1{background:var(--c1)}.k2{background:var(--c2)}\
        .k3{background:var(--c3)}\
        .legend{color:var(--dim);font-size:.9rem}.legend span{margin-right:1rem}
        """
}

/// For text and attributes.
func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "&": result += "&amp;"
        case "\"": result += "&quot;"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}
