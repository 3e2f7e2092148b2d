import Weir
import WeirCore
import WeirRecord

// Records of a larger request that their tables refuse: told so, unless they committed before.
extension ManyRecords {
    func refuse(_ refused: GroupList.Refused, on connection: ConnectionHandler) {
        guard let message = refused.message else {
            return answer.append(refused.index, refused.failure, messageID: nil)
        }
        onTheirWay += 1
        connection.recall([message], for: exchange) { connection, found in
            self.onTheirWay -= 1
            switch found[0] {
            case .nothing:
                self.answer.append(refused.index, refused.failure, messageID: message.id)
            case .committed(let result): self.append(refused.index, result, message.id)
            case .failed(let failure):
                self.append(refused.index, failure, of: refused.failure.table, message.id)
            }
            self.goOn(on: connection)
        }
    }

    /// None of a group is written when one of its members is refused, unless all of it committed
    /// before, as those have to have that carry message IDs: all of them.
    func refuse(_ group: GroupList.Group, on connection: ConnectionHandler) {
        let refused = group.refused.compactMap(\.message)
        let others = group.members.compactMap { Message($0.record) }
        guard refused.count == group.refused.count, others.count == group.members.count else {
            return tear(group)
        }
        let messages = refused + others
        onTheirWay += messages.count
        connection.recall(messages, for: exchange) { connection, found in
            self.onTheirWay -= messages.count
            self.settle(group, messages, found)
            self.goOn(on: connection)
        }
    }

    private func settle(
        _ group: GroupList.Group, _ messages: [Message], _ found: [Recollection]
    ) {
        let indexes =
            group.refused.map(\.index) + group.members.map { Answer.item($0.index) }
        let tables =
            group.refused.map(\.failure.table) + group.members.map { $0.record.table.publicName }
        let results = found.compactMap {
            if case .committed(let result) = $0 { result } else { nil }
        }
        let failure = found.lazy.compactMap {
            if case .failed(let failure) = $0, failure.code.isRetryable { failure } else { nil }
        }.first
        if results.count == found.count {
            for (place, result) in results.enumerated() {
                append(indexes[place], result, messages[place].id)
            }
        } else if let failure {
            // Nobody knows yet.
            for (place, message) in messages.enumerated() {
                append(indexes[place], failure, of: tables[place], message.id)
            }
        } else {
            tear(group)
        }
    }

    private func tear(_ group: GroupList.Group) {
        for member in group.refused {
            answer.append(member.index, member.failure, messageID: member.message?.id)
        }
        for member in group.members {
            let failure = Failure(
                .rolledBack, "another member of the group was refused; nothing was written",
                table: member.record.table.publicName)
            answer.append(Answer.item(member.index), failure, messageID: member.record.messageID)
        }
    }

    private func append(_ index: Int, _ result: RowResult, _ messageID: String) {
        answer.append(index, result, messageID: messageID, minted: exchange.mintedID, record: nil)
    }

    private func append(
        _ index: Int, _ failure: Failure, of table: String?, _ messageID: String
    ) {
        var failure = failure
        failure.table = table
        answer.append(index, failure, messageID: messageID)
    }

    // MARK: Messages

    /// Of an item of a request to one table.
    func fingerprint(
        _ item: ItemSource.Item, _ table: TableSchema, _ input: Span<UInt8>
    ) throws(Defect) -> UInt64 {
        var print = Fingerprint(table, .insert, exchange.request.preferences)
        switch item {
        case .json(let range):
            var cursor = JSONCursor(range)
            try print.takeData(&cursor, input)
        case .row(let fields, _):
            print.takeRow(fields, names: csvNames)
        }
        return print.value
    }

    /// The message of an item that was refused, if it may have committed before.
    func message(
        _ item: ItemSource.Item, _ index: Int, _ input: Span<UInt8>, _ failure: Failure
    ) -> Message? {
        guard failure.code.mayFollowCommit, !exchange.request.preferences.isDryRun else {
            return nil
        }
        let id = messageIDPrefix.map { "\($0)#\(index)" }
        switch (item, target) {
        case (.json(let range), .bulk):
            return BulkLine.message(input, range, tables: &tables, otherwise: id)
        case (_, .table(let table, _)):
            guard let id, let print = try? fingerprint(item, table, input) else { return nil }
            return Message(id, fingerprint: print)
        case (.row, .bulk):
            return nil
        }
    }
}
