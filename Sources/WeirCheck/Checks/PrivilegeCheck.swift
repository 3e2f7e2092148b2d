/// May the role do what the gateway's statements do?
struct PrivilegeCheck: Check {
    let codes = ["missing-privilege"]

    func sql(_ subject: Subject) -> String? { nil }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        subject.requirements.filter { !$0.isHeld }.map { requirement in
            let kind: Finding.Object.Kind =
                switch requirement.place {
                case .schema: .schema
                case .table: .table
                case .sequence: .sequence
                case .function: .function
                }
            let columns =
                requirement.missing.isEmpty
                ? "" : " (\(requirement.missing.joined(separator: ", ")))"
            return Finding(
                "missing-privilege", .error, .init(kind, requirement.label),
                what: "The role \(subject.role) lacks \(requirement.privilege)\(columns) on the "
                    + "\(requirement.place) \(requirement.label).",
                why: why(requirement), fix: requirement.missingGrant(to: subject.roleName))
        }
    }

    private func why(_ requirement: Requirement) -> String {
        if requirement.isOwnSchema {
            return "Message IDs, attempts and dead letters are kept there. Without it weir serve "
                + "does not start, unless replay.window is off."
        }
        let use =
            switch (requirement.place, requirement.privilege) {
            case (.schema, _): "Names in it cannot be looked up"
            case (.sequence, _): "A record that leaves the column out draws from it"
            case (.function, _): "Defaults, constraints or indexes call it as the writing role"
            case (_, "SELECT"):
                "Patch and delete find rows by their key, upsert reads what it would store, and "
                    + "answers return keys and rows"
            case (_, "UPDATE"): "Upserts and patches set these columns"
            case (_, "DELETE"): "Callers may delete"
            default: "Inserts and upserts name these columns"
            }
        return use + "; without it such a write pauses the table for everybody's records."
    }
}
