import WeirCore
import WeirRecord

// What a request with many records says of each of them, apart from what is to be written.
extension ManyRecords {
    /// What the request says of the record at this place.
    func envelope(_ index: Int, _ origin: RecordOrigin? = nil) -> Envelope {
        Envelope(
            messageID: messageIDPrefix.map { "\($0)#\(index)" }, orderKey: orderKey,
            origin: origin)
    }

    /// Adds what is only kept of some records.
    func complete(
        _ envelope: inout Envelope, _ table: TableSchema, _ source: () -> RecordSource
    ) {
        if envelope.messageID != nil { envelope.origin = exchange.origin }
        if table.policy.onReject == .deadLetter { envelope.source = source() }
    }

    func checkSize(_ count: Int) throws(Defect) {
        guard count <= plane.configuration.recordByteCountMax else {
            throw Defect(
                .bodyTooLarge,
                "the record is larger than \(plane.configuration.recordByteCountMax) bytes")
        }
    }
}
