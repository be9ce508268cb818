"""scimsync keeps the people in a Genesys Cloud organisation equal to what the HR system says about them."""
