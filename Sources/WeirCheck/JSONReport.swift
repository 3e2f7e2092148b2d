import WeirPostgres
import WeirRecord

/// The findings as one JSON object; docs/CHECKS.md describes its members. Members are added, never
/// renamed.
package enum JSONReport {
    package static func text(_ result: Examination.Result) -> String {
        let subject = result.subject
        let counts = Finding.Severity.allCases.map { severity in
            (severity.rawValue, String(result.findings.count { $0.severity == severity }))
        }
        return object([
            ("version", "1"), ("server", string(subject.version)),
            ("database", string(subject.database)), ("role", string(subject.role)),
            ("tables", array(subject.exposed.map { string($0.schema + "." + $0.name) })),
            ("counts", object(counts)), ("findings", array(result.findings.map(finding))),
            ("grants", array(grants(subject))),
        ]) + "\n"
    }

    /// Everything that the role must be granted, held or not.
    private static func grants(_ subject: Subject) -> [String] {
        subject.requirements.map { requirement in
            object([
                ("sql", string(requirement.grant(to: subject.roleName))),
                ("held", requirement.isHeld ? "true" : "false"),
            ])
        }
    }

    private static func finding(_ finding: Finding) -> String {
        object([
            ("code", string(finding.code)), ("severity", string(finding.severity.rawValue)),
            (
                "object",
                object([
                    ("kind", string(finding.object.kind.rawValue)),
                    ("name", string(finding.object.name)),
                ])
            ),
            ("what", string(finding.what)), ("why", string(finding.why)),
            ("fix", string(finding.fix)),
        ])
    }

    private static func object(_ members: [(String, String)]) -> String {
        "{" + members.map { string($0.0) + ":" + $0.1 }.joined(separator: ",") + "}"
    }

    private static func array(_ elements: [String]) -> String {
        "[" + elements.joined(separator: ",") + "]"
    }

    private static func string(_ text: String) -> String {
        var bytes: [UInt8] = []
        appendJSONString(text, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
