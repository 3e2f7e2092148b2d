// What a backend engineer would write by hand instead of running a gateway: net/http, a channel,
// and one goroutine that puts whatever arrived while it was busy into one INSERT.
//
// It is tuned as one would tune it (pgx's own interface, a prepared statement, typed slices sent as
// binary arrays, channels reused) and it promises less: one bad record fails its whole batch, keys
// have no order, and a retry after a lost answer writes twice or fails.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"strings"
	"sync"

	"github.com/jackc/pgx/v4"
)

type record struct {
	ID         int64   `json:"id"`
	CustomerID int32   `json:"customer_id"`
	Qty        int32   `json:"qty"`
	Note       *string `json:"note"`
}

// waiting is one caller: its record, and where it waits for the fate of its batch.
type waiting struct {
	record record
	done   chan error
}

// A body longer than this is refused, as any server would.
const bodyBytesMax = 1 << 20

var doneChannels = sync.Pool{New: func() any { return make(chan error, 1) }}

// acceptRecords answers each POST once the batch that holds its record has committed.
func acceptRecords(queue chan<- waiting) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.Error(w, "POST one record", http.StatusMethodNotAllowed)
			return
		}
		var one record
		body := http.MaxBytesReader(w, r.Body, bodyBytesMax)
		if err := json.NewDecoder(body).Decode(&one); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		done := doneChannels.Get().(chan error)
		queue <- waiting{one, done}
		err := <-done
		doneChannels.Put(done)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"result":"inserted","key":{"id":%d}}`, one.ID)
	}
}

// batch holds the columns of the next INSERT; its slices are reused from one batch to the next.
type batch struct {
	ids       []int64
	customers []int32
	quantity  []int32
	notes     []*string
	callers   []chan error
}

func (b *batch) add(w waiting) {
	b.ids = append(b.ids, w.record.ID)
	b.customers = append(b.customers, w.record.CustomerID)
	b.quantity = append(b.quantity, w.record.Qty)
	b.notes = append(b.notes, w.record.Note)
	b.callers = append(b.callers, w.done)
}

func (b *batch) clear() {
	b.ids, b.customers, b.quantity = b.ids[:0], b.customers[:0], b.quantity[:0]
	b.notes, b.callers = b.notes[:0], b.callers[:0]
}

// collect blocks for the first record, then takes what is already there.
func (b *batch) collect(queue <-chan waiting, max int) {
	b.clear()
	b.add(<-queue)
	for len(b.ids) < max {
		select {
		case next := <-queue:
			b.add(next)
		default:
			return
		}
	}
}

// writeBatches owns the connection. Exec is a transaction of its own: it returns after COMMIT.
func writeBatches(conn *pgx.Conn, table string, queue <-chan waiting, max int) {
	sql := "INSERT INTO " + table + " (id, customer_id, qty, note) " +
		"SELECT * FROM unnest($1::bigint[], $2::int[], $3::int[], $4::text[])"
	var next batch
	for {
		next.collect(queue, max)
		_, err := conn.Exec(context.Background(), sql,
			next.ids, next.customers, next.quantity, next.notes)
		for _, caller := range next.callers {
			caller <- err
		}
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8441", "address to listen on")
	conninfo := flag.String("db", "", "libpq connection string")
	table := flag.String("table", "orders", "table with the columns id, customer_id, qty, note")
	max := flag.Int("max", 500, "most records in one INSERT")
	flag.Parse()

	conn, err := pgx.Connect(context.Background(), *conninfo)
	if err != nil {
		log.Fatalf("cannot reach PostgreSQL: %v", err)
	}
	queue := make(chan waiting, 4*(*max))
	go writeBatches(conn, pgx.Identifier(strings.Split(*table, ".")).Sanitize(), queue, *max)

	routes := http.NewServeMux()
	routes.HandleFunc("/v1/tables/"+*table+"/records", acceptRecords(queue))
	log.Fatal((&http.Server{Addr: *listen, Handler: routes}).ListenAndServe())
}
