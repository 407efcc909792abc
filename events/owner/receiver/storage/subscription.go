package storage

import (
	"context"
	"encoding/json"
	"net/http"
)

// Subscription is a webhook of the owner. Secret is "" unless the API has just created it.
type Subscription struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// Subscribe subscribes an endpoint to the events of an application. A repetition returns the same
// subscription, without its secret.
func (c *Client) Subscribe(ctx context.Context, endpoint, app string) (s Subscription, err error) {
	body, err := json.Marshal(map[string]any{"endpoint": endpoint, "appIds": []string{app}})
	if err != nil {
		return s, err
	}
	_, err = c.call(ctx, http.MethodPost, "/storage/subscriptions", http.Header{"Content-Type": {"application/json"}}, body, &s)
	return s, err
}

// RotateSecret gives a subscription a new secret. The replaced one is valid for a day.
func (c *Client) RotateSecret(ctx context.Context, id string) (s Subscription, err error) {
	_, err = c.call(ctx, http.MethodPost, "/storage/subscriptions/"+id+"/secret", nil, nil, &s)
	return s, err
}
